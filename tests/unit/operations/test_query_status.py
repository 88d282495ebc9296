"""The status page shows each part that answers, and works without the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.domain.timestamps import to_unix_us
from switchboard.edge.api.status import status_json
from switchboard.guard.usage.monthly_quota import CounterMonthlyQuota
from switchboard.ports.status import QueueDepth
from switchboard.usecases.operations.query_status import ProviderStatus, QueryStatus, WatchedProvider
from tests.builders import DEADLINES, a_message
from tests.fakes import (
    START,
    FixedClock,
    FixedQueueReader,
    InMemoryCounterStore,
    InMemoryDeadlineReader,
    InMemoryMessageStore,
    InMemoryProviderLimitReader,
    InMemoryProviderLimitStore,
    down,
)

NOW_US = to_unix_us(START)
SECOND_US = 1_000_000
KEY = "mediasms#shared"
TIME_BUDGET = timedelta(seconds=15)


def build_watched_provider(provider: str = "mediasms") -> WatchedProvider:
    return WatchedProvider(
        provider=provider,
        key=f"{provider}#shared",
        pace_of=lambda state, _: 80 * 100 / state.backoff_percent,
        in_flight_limit=7,
        open_after_401s=3,
    )


def build_query(**components: Any) -> QueryStatus:
    """Build a query over empty stores, except for the given components."""
    counters = InMemoryCounterStore()
    return QueryStatus(
        **{
            "providers": [build_watched_provider()],
            "limit_reader": InMemoryProviderLimitReader(InMemoryProviderLimitStore()),
            "quotas": {"biztel": CounterMonthlyQuota(counters=counters, provider="biztel", limit=100, reserve=5)},
            "deadlines": InMemoryDeadlineReader(InMemoryMessageStore()),
            "queues": {"outbox": FixedQueueReader(waiting=3, delayed=2, under_way=1)},
            "clock": FixedClock(),
            "time_budget": TIME_BUDGET,
            **components,
        }
    )


def query_provider(state: ProviderLimitState) -> ProviderStatus:
    store = InMemoryProviderLimitStore()
    store.states[KEY] = state
    provider = build_query(limit_reader=InMemoryProviderLimitReader(store))().providers["mediasms"]
    assert provider is not None
    return provider


def test_a_new_deployment_has_closed_circuits_and_no_deadline() -> None:
    page = status_json(build_query()())

    assert page == {
        "at": "2026-11-22T03:04:05.678Z",
        "providers": {
            "mediasms": {
                "circuit": "closed",
                "open_because": None,
                "consecutive_401s": 0,
                "requests_per_s": 80,
                "slots_ahead_s": 0,
                "in_flight": 0,
                "in_flight_limit": 7,
            }
        },
        "month_quotas": {
            "biztel": {
                "month": "2026-11",
                "used": 0,
                "limit": 100,
                "reserve": 5,
                "used_percent": 0.0,
                "exhausted_on": None,
            }
        },
        "oldest_pending_deadline": None,
        "queues": {"outbox": {"waiting": 3, "delayed": 2, "under_way": 1}},
        "unavailable": [],
    }


@pytest.mark.parametrize(
    ("state", "circuit", "because"),
    [
        pytest.param(ProviderLimitState(consecutive_401s=2, total_401s=9), "closed", None, id="below the limit"),
        pytest.param(ProviderLimitState(consecutive_401s=3, total_401s=3), "open", "authentication", id="at the limit"),
        pytest.param(ProviderLimitState(blocked_by="557"), "open", "557", id="blocked address"),
        pytest.param(ProviderLimitState(consecutive_401s=8, blocked_by="555"), "open", "555", id="401s and blocked"),
    ],
)
def test_a_circuit_is_open_at_the_limit_or_for_a_blocked_address(
    state: ProviderLimitState, circuit: str, because: str | None
) -> None:
    store = InMemoryProviderLimitStore()
    store.states[KEY] = state

    provider = status_json(build_query(limit_reader=InMemoryProviderLimitReader(store))())["providers"]["mediasms"]

    assert provider["circuit"] == circuit
    assert provider["open_because"] == because
    assert provider["consecutive_401s"] == state.consecutive_401s


def test_expired_permits_are_not_in_flight() -> None:
    permits = {"expired": NOW_US - 1, "expiring": NOW_US, "valid": NOW_US + 30 * SECOND_US}

    assert query_provider(ProviderLimitState(permits=permits)).in_flight == 2


@pytest.mark.parametrize(
    ("next_slot_us", "ahead_s"),
    [
        pytest.param(NOW_US + 1_500_000, 1.5, id="ahead"),
        pytest.param(NOW_US - SECOND_US, 0.0, id="past"),
        pytest.param(0, 0.0, id="never used"),
    ],
)
def test_slots_ahead_is_the_time_to_the_next_slot(next_slot_us: int, ahead_s: float) -> None:
    assert query_provider(ProviderLimitState(next_slot_us=next_slot_us)).slots_ahead_s == ahead_s


def test_the_page_has_the_monthly_quota_with_its_forecast() -> None:
    quota = CounterMonthlyQuota(counters=InMemoryCounterStore(), provider="biztel", limit=6, reserve=1)
    for _ in range(5):
        quota.take(START, urgent=True)

    usage = status_json(build_query(quotas={"biztel": quota})())["month_quotas"]["biztel"]

    assert (usage["used"], usage["used_percent"], usage["exhausted_on"]) == (5, 83.3, "2026-11-26")


def test_the_page_has_the_oldest_pending_deadline() -> None:
    messages = InMemoryMessageStore(deadlines=DEADLINES)
    messages.create(a_message())

    page = status_json(build_query(deadlines=InMemoryDeadlineReader(messages))())

    due = START + DEADLINES.submission_after_claim
    assert page["oldest_pending_deadline"] == due.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert page["unavailable"] == []


UNANSWERED: Mapping[str, dict[str, Any]] = {
    "providers.mediasms": {"limit_reader": down(InMemoryProviderLimitReader)},
    "month_quotas.biztel": {"quotas": {"biztel": down(CounterMonthlyQuota)}},
    "oldest_pending_deadline": {"deadlines": down(InMemoryDeadlineReader)},
    "queues.outbox": {"queues": {"outbox": down(FixedQueueReader)}},
}
"""Components that do not answer, by the name of their part."""


@pytest.mark.parametrize("name", UNANSWERED)
def test_a_part_that_does_not_answer_is_null_and_named(name: str) -> None:
    messages = InMemoryMessageStore(deadlines=DEADLINES)
    messages.create(a_message())
    deadlines = InMemoryDeadlineReader(messages)
    expected = status_json(build_query(deadlines=deadlines)())

    page = status_json(build_query(**{"deadlines": deadlines, **UNANSWERED[name]})())

    part, _, member = name.partition(".")
    if member:
        expected[part][member] = None
    else:
        expected[part] = None
    assert page == {**expected, "unavailable": [name]}


def test_without_any_answer_there_is_still_a_page() -> None:
    components = {key: value for unanswered in UNANSWERED.values() for key, value in unanswered.items()}

    status = build_query(**components)()

    assert status.unavailable == list(UNANSWERED)
    assert json.dumps(status_json(status))


def test_slow_stores_leave_time_for_an_answer() -> None:
    clock = FixedClock()

    class SlowQueue(FixedQueueReader):
        def depth(self) -> QueueDepth:
            clock.advance(timedelta(seconds=6))
            return super().depth()

    status = build_query(clock=clock, queues={f"queue{number}": SlowQueue() for number in range(5)})()

    assert clock.now() - status.at == timedelta(seconds=18)
    assert status.unavailable == ["queues.queue3", "queues.queue4"]
    assert status.queues["queue2"] is not None


def test_each_provider_is_read_from_its_own_state() -> None:
    store = InMemoryProviderLimitStore()
    store.states["baidu_vms#shared"] = ProviderLimitState(consecutive_401s=1)

    providers = [build_watched_provider(), build_watched_provider("baidu_vms")]
    status = build_query(providers=providers, limit_reader=InMemoryProviderLimitReader(store))()

    consecutive_401s = {name: provider and provider.consecutive_401s for name, provider in status.providers.items()}
    assert consecutive_401s == {"mediasms": 0, "baidu_vms": 1}

"""The status page shows the whole system, also if some parts of it do not answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchboard.domain.rate_limits import ProviderLimitState
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

NOW_US = (START - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
SECOND_US = 1_000_000
KEY = "mediasms#shared"
TIME_BUDGET = timedelta(seconds=15)


def watched(provider: str = "mediasms") -> WatchedProvider:
    return WatchedProvider(
        provider=provider,
        key=f"{provider}#shared",
        pace_of=lambda state, _: 80 * 100 / state.backoff_percent,
        in_flight_limit=7,
        open_after_401s=3,
    )


def a_query(**parts: Any) -> QueryStatus:
    """Build the use case over empty stores, except for these parts."""
    counters = InMemoryCounterStore()
    return QueryStatus(
        **{
            "providers": [watched()],
            "limit_reader": InMemoryProviderLimitReader(InMemoryProviderLimitStore()),
            "quotas": {"biztel": CounterMonthlyQuota(counters=counters, provider="biztel", limit=100, reserve=5)},
            "deadlines": InMemoryDeadlineReader(InMemoryMessageStore()),
            "queues": {"outbox": FixedQueueReader(waiting=3, delayed=2, under_way=1)},
            "clock": FixedClock(),
            "time_budget": TIME_BUDGET,
            **parts,
        }
    )


def provider_of(state: ProviderLimitState) -> ProviderStatus:
    store = InMemoryProviderLimitStore()
    store.states[KEY] = state
    status = a_query(limit_reader=InMemoryProviderLimitReader(store))()
    provider = status.providers["mediasms"]
    assert provider is not None
    return provider


def test_a_new_stack_is_closed_idle_and_has_nothing_pending() -> None:
    assert status_json(a_query()()) == {
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
        (ProviderLimitState(consecutive_401s=2, total_401s=9), "closed", None),
        (ProviderLimitState(consecutive_401s=3, total_401s=3), "open", "authentication"),
        (ProviderLimitState(blocked_by="557"), "open", "557"),
        (ProviderLimitState(consecutive_401s=8, blocked_by="555"), "open", "555"),
    ],
    ids=["below the limit", "at the limit", "557", "555"],
)
def test_a_circuit_is_open_from_the_limit_or_by_a_block(
    state: ProviderLimitState, circuit: str, because: str | None
) -> None:
    store = InMemoryProviderLimitStore()
    store.states[KEY] = state

    page = status_json(a_query(limit_reader=InMemoryProviderLimitReader(store))())["providers"]["mediasms"]

    assert (page["circuit"], page["open_because"], page["consecutive_401s"]) == (
        circuit,
        because,
        state.consecutive_401s,
    )


def test_expired_permits_are_not_in_flight() -> None:
    permits = {"over": NOW_US - 1, "just": NOW_US, "long": NOW_US + 30 * SECOND_US}

    assert provider_of(ProviderLimitState(permits=permits)).in_flight == 2


@pytest.mark.parametrize(
    ("next_slot_us", "ahead_s"),
    [(NOW_US + 1_500_000, 1.5), (NOW_US - SECOND_US, 0.0), (0, 0.0)],
    ids=["ahead", "past", "never used"],
)
def test_slots_ahead_follow_the_next_slot(next_slot_us: int, ahead_s: float) -> None:
    assert provider_of(ProviderLimitState(next_slot_us=next_slot_us)).slots_ahead_s == ahead_s


def test_a_month_quota_shows_its_forecast() -> None:
    quota = CounterMonthlyQuota(counters=InMemoryCounterStore(), provider="biztel", limit=6, reserve=1)
    for _ in range(5):
        quota.take(START, urgent=True)

    page = status_json(a_query(quotas={"biztel": quota})())["month_quotas"]["biztel"]

    assert (page["used"], page["used_percent"], page["exhausted_on"]) == (5, 83.3, "2026-11-26")


def test_the_oldest_pending_deadline_is_shown() -> None:
    messages = InMemoryMessageStore(deadlines=DEADLINES)
    messages.create(a_message())

    page = status_json(a_query(deadlines=InMemoryDeadlineReader(messages))())

    due = START + DEADLINES.submission_after_claim
    assert page["oldest_pending_deadline"] == due.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert page["unavailable"] == []


DOWN: Mapping[str, tuple[dict[str, Any], list[str]]] = {
    "providers": ({"limit_reader": down(InMemoryProviderLimitReader)}, ["providers.mediasms"]),
    "month": ({"quotas": {"biztel": down(CounterMonthlyQuota)}}, ["month_quotas.biztel"]),
    "deadlines": ({"deadlines": down(InMemoryDeadlineReader)}, ["oldest_pending_deadline"]),
    "queue": ({"queues": {"outbox": down(FixedQueueReader)}}, ["queues.outbox"]),
}


@pytest.mark.parametrize(("parts", "missing"), DOWN.values(), ids=list(DOWN))
def test_an_unavailable_part_is_null_named_and_alone(parts: dict[str, Any], missing: list[str]) -> None:
    messages = InMemoryMessageStore(deadlines=DEADLINES)
    messages.create(a_message())
    whole = status_json(a_query(deadlines=InMemoryDeadlineReader(messages))())

    page = status_json(a_query(**{"deadlines": InMemoryDeadlineReader(messages), **parts})())

    assert page["unavailable"] == missing
    [name] = missing
    part, _, member = name.partition(".")
    if member:
        whole[part][member] = None
    else:
        whole["oldest_pending_deadline"] = None
    assert page == {**whole, "unavailable": missing}


def test_a_status_without_any_part_is_still_an_answer() -> None:
    parts = {name: part for broken, _ in DOWN.values() for name, part in broken.items()}

    status = a_query(**parts)()

    assert status.unavailable == [name for _, missing in DOWN.values() for name in missing]
    assert json.dumps(status_json(status))


def test_slow_stores_leave_time_for_an_answer() -> None:
    clock = FixedClock()

    class SlowQueue(FixedQueueReader):
        def depth(self) -> QueueDepth:
            clock.advance(timedelta(seconds=6))
            return super().depth()

    status = a_query(clock=clock, queues={f"queue{number}": SlowQueue() for number in range(5)})()

    assert clock.now() - status.at == timedelta(seconds=18)
    assert status.unavailable == ["queues.queue3", "queues.queue4"]
    assert status.queues["queue2"] is not None


def test_each_provider_has_its_own_limit_state() -> None:
    store = InMemoryProviderLimitStore()
    store.states["baidu_vms#shared"] = ProviderLimitState(consecutive_401s=1)

    status = a_query(providers=[watched(), watched("baidu_vms")], limit_reader=InMemoryProviderLimitReader(store))()

    counts = {name: provider.consecutive_401s for name, provider in status.providers.items() if provider}
    assert counts == {"mediasms": 0, "baidu_vms": 1}

"""A crowd of containers never stops the sending, and no row of it exceeds a provider's limit. (I10, I13)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from switchboard.guard.provider import reservations
from switchboard.guard.provider.rate_limiter import ProviderGuards
from tests.fakes import START
from tests.harness.crowd import IN_FLIGHT, SETTINGS, Crowd, ThrottledStore

_WARM: Final = (0.005, 0.010)
# The slots that are left once the room is learned: 97 % of 80 a second.
_SLOTS_A_SECOND: Final = 77.6


@pytest.fixture(autouse=True)
def _seeded_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservations, "_RANDOM", Random(1))


def _run(singles: int, *, seconds: int = 20, **arguments: Any) -> Crowd:
    crowd = Crowd(singles, one_way_s=arguments.pop("one_way_s", _WARM), **arguments)
    crowd.run(seconds=seconds)
    return crowd


@pytest.mark.parametrize("singles", [7, 16, 100, 200], ids=lambda singles: f"{singles} containers")
def test_a_crowd_costs_few_writes_and_gets_the_full_rate(singles: int) -> None:
    crowd = _run(singles)

    assert crowd.writes_a_send(first_s=10, last_s=20) <= (1.2 if singles == IN_FLIGHT else 2)
    assert max(crowd.store.writes_by_second.values()) <= 300
    assert crowd.rate(first_s=10, last_s=20) >= 0.96 * _SLOTS_A_SECOND
    assert crowd.provider.refused == crowd.store.throttled == 0
    assert crowd.results.most_in_flight <= IN_FLIGHT
    assert crowd.results.longest_wait_s < 1.5


def test_queues_go_on_beside_a_crowd() -> None:
    crowd = _run(50, outbox=True, bulk=True)

    assert crowd.rate(first_s=10, last_s=20, kind="outbox") > 1
    assert crowd.rate(first_s=10, last_s=20) >= 0.92 * _SLOTS_A_SECOND
    assert max(crowd.store.writes_by_second.values()) <= 300
    assert crowd.results.most_in_flight <= IN_FLIGHT
    assert crowd.provider.refused == 0


@pytest.mark.parametrize(
    ("latency_ms", "share"),
    [pytest.param(20, 0.9, id="20 ms"), pytest.param(100, 0.85, id="100 ms"), pytest.param(500, 0.9, id="500 ms")],
)
def test_single_sends_and_batches_reach_their_bound(latency_ms: int, share: float) -> None:
    one_way_s = (latency_ms / 2000, latency_ms / 2000)
    singles, bulk = _run(IN_FLIGHT, one_way_s=one_way_s), _run(0, bulk=True, one_way_s=one_way_s)

    assert singles.rate(first_s=10, last_s=20) >= share * min(_SLOTS_A_SECOND, 7_000 / latency_ms)
    assert bulk.rate(first_s=10, last_s=20) >= 0.9 * min(_SLOTS_A_SECOND, 3_000 / latency_ms)
    assert bulk.results.most_in_flight <= 3


def test_a_throttled_item_does_not_stop_those_with_a_permit() -> None:
    """Other writes use up the item: a tenth of the attempts get through, and those with a permit repeat theirs."""

    class MostlyThrottled(ThrottledStore):
        def _write(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            self.writes_by_second[int(self.now_s)] += 600 if self.now_s > 5 and int(self.now_s * 50) % 2 else 0
            return super()._write(method, *args, **kwargs)

    crowd = _run(100, store=MostlyThrottled())

    assert crowd.store.throttled
    assert all(crowd.sent_in(second) for second in range(6, 20))


class _TakesPermitsInUse(ProviderGuards):
    """A mutant that takes a permit whose order has no outcome yet."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments | {"answered_at": lambda _: START})


class _NamesNoOrder(ProviderGuards):
    """A mutant that names no permit after an order, so that each must be returned."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments | {"answered_at": None})


def test_a_permit_taken_from_a_request_in_flight_is_caught() -> None:
    crowd = _run(50, one_way_s=(0.1, 0.1), guards_class=_TakesPermitsInUse, seconds=10)

    assert crowd.results.most_in_flight > IN_FLIGHT


@pytest.mark.parametrize("mutant", ["names no order", "is patient", "takes without a grace"])
def test_a_costly_mutant_is_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guards_class: type[ProviderGuards] = ProviderGuards
    match mutant:
        case "names no order":
            guards_class = _NamesNoOrder
        case "is patient":
            monkeypatch.setattr(reservations, "_PATIENCE_US", 60_000_000)
        case "takes without a grace":
            monkeypatch.setattr(reservations, "_GRACE_US", 0)
    crowd = _run(100, guards_class=guards_class, seconds=12)

    too_many = crowd.writes_a_send(first_s=6, last_s=12) > 1.2
    assert too_many or crowd.results.longest_wait_s > 1.5


def test_without_learning_the_same_crowd_gets_less() -> None:
    fixed = _run(7, settings=replace(SETTINGS, least_jitter=None))

    assert fixed.rate(first_s=10, last_s=20) < 75

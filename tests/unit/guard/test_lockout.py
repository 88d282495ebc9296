"""Whatever happens to the credentials, MediaSMS never gets the tenth 401 in a row from us. (I13)"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState
from switchboard.guard.provider.rate_limiter import GuardSettings
from tests.fakes import InMemoryProviderLimitStore
from tests.harness.lockout import KEY, History

LIMITS: Final = GuardSettings(requests_per_s=80)
BLOCKED_AT: Final = 10
DAY_S: Final = 24 * 3600.0
HOUR_S: Final = 3600.0


def _flurries(
    seeds: Iterable[int],
    *,
    limits: GuardSettings = LIMITS,
    kind: type[InMemoryProviderLimitStore] = InMemoryProviderLimitStore,
) -> Iterator[History]:
    for seed in seeds:
        history = History(seed, limits=limits, store=kind())
        history.flurry()
        yield history


@pytest.mark.parametrize("part", range(4))
def test_at_most_nine_refusals_in_a_row_reach_the_provider_in_any_history(part: int) -> None:
    """Those do not count whose worker died before it could write them down: nobody can know of them."""
    worst = [history.provider.worst for history in _flurries(range(part * 2_500, (part + 1) * 2_500))]

    assert max(worst) == BLOCKED_AT - 1


def _tries_the_latest_credentials(history: History) -> None:
    history.arrives(history.time)
    history.run(until=history.time + 3 * history.put_back_s)


def test_once_open_the_circuit_lets_nothing_through_in_a_day_and_one_request_closes_it() -> None:
    for history in _flurries(range(200)):
        provider, store = history.provider, history.store.states
        while store[KEY].consecutive_401s < LIMITS.open_after_401s:
            history.arrives(history.time)
            history.run(until=history.time + 2 * history.put_back_s)
        _tries_the_latest_credentials(history)
        before, history.put_back_s, history.crashes = provider.requests, HOUR_S, 0.0
        for _ in range(3):
            history.arrives(history.time)
        history.run(until=history.time + DAY_S)
        assert provider.requests == before
        assert provider.worst < BLOCKED_AT

        history.put_right()
        if store[KEY].consecutive_401s >= LIMITS.max_consecutive_401s:
            # As the runbook says.
            store[KEY] = replace(store[KEY], consecutive_401s=0, probed_versions=frozenset())
        history.arrives(history.time)
        history.run(until=history.time + HOUR_S)
        assert (provider.requests, provider.in_a_row) == (before + 1, 0)
        history.arrives(history.time, jobs=20)
        history.run(until=history.time + HOUR_S)
        assert provider.requests == before + 21


class _EndsAnyStreak(InMemoryProviderLimitStore):
    """A late answer ends a consecutive_401s that began after it."""

    def reset_401s(self, state: str, *, seen: int, versions: Collection[str]) -> None:
        super().reset_401s(state, seen=self.states[state].total_401s, versions=versions)


class _KeepsNoPermits(InMemoryProviderLimitStore):
    """Everybody may send."""

    def _moved(
        self, state: str, old: ProviderLimitState, next_slot_us: int, rule: CircuitRule, permit: Permit | None
    ) -> LimitUpdate:
        move = super()._moved(state, old, next_slot_us, rule, permit)
        self.states[state] = replace(move.state, permits={})
        return move


@pytest.mark.parametrize("mutant", [_EndsAnyStreak, _KeepsNoPermits])
def test_the_histories_catch_the_mutant(mutant: type[InMemoryProviderLimitStore]) -> None:
    assert any(history.provider.worst >= BLOCKED_AT for history in _flurries(range(2_500), kind=mutant))


@pytest.mark.parametrize(
    "limits",
    [replace(LIMITS, in_flight=1_000), replace(LIMITS, in_flight=8), replace(LIMITS, lease=timedelta(seconds=1))],
    ids=["no cap", "eight in flight", "a short lease"],
)
def test_the_histories_catch_the_wrong_limits(limits: GuardSettings) -> None:
    assert any(history.provider.worst >= BLOCKED_AT for history in _flurries(range(2_500), limits=limits))

"""MediaSMS never gets the tenth 401 in a row from this deployment, whatever happens to the credentials. (I13)"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState
from switchboard.guard.provider.rate_limiter import GuardSettings
from tests.depth import at_depth
from tests.fakes import START, InMemoryProviderLimitStore
from tests.harness.lockout import KEY, History

SETTINGS: Final = GuardSettings(requests_per_s=80)
LOCKOUT_401S: Final = 10
DAY_S: Final = 24 * 3600.0
HOUR_S: Final = 3600.0


def _play_histories(
    seeds: Iterable[int],
    *,
    settings: GuardSettings = SETTINGS,
    store_class: type[InMemoryProviderLimitStore] = InMemoryProviderLimitStore,
) -> Iterator[History]:
    for seed in seeds:
        history = History(seed, settings=settings, store=store_class())
        history.run_revocation()
        yield history


@pytest.mark.parametrize(
    "part",
    range(at_depth(usual=1, proof=20)),
    ids=lambda part: f"histories {part * 500} to {part * 500 + 499}",
)
def test_at_most_nine_401s_in_a_row_reach_the_provider(part: int) -> None:
    """A 401 does not count if its container died before recording it: the guard cannot know of it."""
    histories = _play_histories(range(part * 500, (part + 1) * 500))

    assert max(history.provider.most_recorded_401s for history in histories) == LOCKOUT_401S - 1


def _probe_latest_credentials(history: History) -> None:
    history.add_container(history.time)
    history.run(until=history.time + 3 * history.retry_delay_s)


def test_an_open_circuit_sends_nothing_for_a_day_and_one_probe_closes_it() -> None:
    for history in _play_histories(range(at_depth(usual=50, proof=200))):
        provider, states = history.provider, history.store.states
        while states[KEY].consecutive_401s < SETTINGS.open_after_401s:
            history.add_container(history.time)
            history.run(until=history.time + 2 * history.retry_delay_s)
        _probe_latest_credentials(history)
        before, history.retry_delay_s, history.crash_rate = provider.requests, HOUR_S, 0.0
        for _ in range(3):
            history.add_container(history.time)
        history.run(until=history.time + DAY_S)
        assert provider.requests == before
        assert provider.most_recorded_401s < LOCKOUT_401S

        history.replace_credentials()
        if states[KEY].consecutive_401s >= SETTINGS.max_consecutive_401s:
            # An operator resets the state as the runbook says.
            states[KEY] = replace(states[KEY], consecutive_401s=0, probed_versions=frozenset())
        history.add_container(history.time)
        history.run(until=history.time + HOUR_S)
        assert (provider.requests, provider.consecutive_401s) == (before + 1, 0)
        history.add_container(history.time, messages=20)
        history.run(until=history.time + HOUR_S)
        assert provider.requests == before + 21


class _StoreThatResetsNewer401s(InMemoryProviderLimitStore):
    """A mutant in which a late answer also resets the 401s that came after its reservation."""

    def reset_401s(self, key: str, *, expected_total_401s: int, versions: Collection[str]) -> None:
        super().reset_401s(key, expected_total_401s=self.states[key].total_401s, versions=versions)


class _StoreWithoutPermits(InMemoryProviderLimitStore):
    """A mutant that stores no permit, so that any number of requests may be in flight."""

    def _moved(
        self, key: str, old: ProviderLimitState, next_slot_us: int, rule: CircuitRule, permit: Permit | None
    ) -> LimitUpdate:
        update = super()._moved(key, old, next_slot_us, rule, permit)
        self.states[key] = replace(update.state, permits={})
        return update


@pytest.mark.parametrize(
    ("mutant", "first"),
    [
        # One history of thousands shows it, so the search begins near that one.
        pytest.param(_StoreThatResetsNewer401s, 2_900, id="resets newer 401s"),
        pytest.param(_StoreWithoutPermits, 0, id="no permits"),
    ],
)
def test_the_histories_catch_the_mutant(mutant: type[InMemoryProviderLimitStore], first: int) -> None:
    histories = _play_histories(range(first, first + 3_000), store_class=mutant)

    assert any(history.provider.most_recorded_401s >= LOCKOUT_401S for history in histories)


class _HistoryThatTakesPermitsInUse(History):
    """A mutant that takes a permit without knowing that the request of its order is over."""

    def answered_at(self, order_id: str) -> datetime | None:
        return START


def test_the_histories_catch_a_permit_taken_before_its_order_is_answered() -> None:
    def reaches_lockout(seed: int) -> bool:
        history = _HistoryThatTakesPermitsInUse(seed, settings=SETTINGS)
        history.run_revocation()
        return history.provider.most_recorded_401s >= LOCKOUT_401S

    assert any(map(reaches_lockout, range(2_500)))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(replace(SETTINGS, in_flight=1_000), id="no concurrency limit"),
        pytest.param(replace(SETTINGS, in_flight=8), id="eight in flight"),
        pytest.param(replace(SETTINGS, lease=timedelta(seconds=1)), id="a short lease"),
    ],
)
def test_the_histories_catch_the_wrong_settings(settings: GuardSettings) -> None:
    histories = _play_histories(range(2_500), settings=settings)

    assert any(history.provider.most_recorded_401s >= LOCKOUT_401S for history in histories)

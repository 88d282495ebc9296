"""Requests never exceed the provider's rate, however late and by whose clock they leave. (I10)"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Final

import pytest

from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.domain.timestamps import to_us
from switchboard.guard.provider import reservations
from switchboard.guard.provider import settings as pace_settings
from switchboard.guard.provider.rate_limiter import GuardSettings
from switchboard.guard.provider.settings import Pace
from tests.depth import at_depth
from tests.harness.pacing import PaceSimulation, Profile


@pytest.fixture(autouse=True)
def _seeded_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservations, "_RANDOM", Random(1))


def _ms(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)


SEEDS: Final = at_depth(usual=[1], proof=[1, 2, 3])
SETTINGS: Final = GuardSettings(requests_per_s=80)
WARM: Final = Profile(name="warm", latency_s=(0.005, 0.025), workers=20, settings=SETTINGS)
WIDE: Final = Profile(name="wide", latency_s=(0.005, 0.080), workers=20, settings=SETTINGS)
# With permits for all workers only the pace holds the rate, and needs more jitter for latencies that differ so much.
MANY: Final = Profile(
    name="many",
    latency_s=WIDE.latency_s,
    workers=60,
    settings=GuardSettings(requests_per_s=80, jitter=_ms(100), in_flight=60),
)
FULL_RATE: Final = GuardSettings(requests_per_s=80, in_flight=None)
NO_JITTER: Final = GuardSettings(requests_per_s=80, jitter=timedelta(0), in_flight=60)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed {seed}")
@pytest.mark.parametrize("profile", [WARM, WIDE, MANY], ids=lambda profile: profile.name)
def test_no_request_exceeds_the_rate_by_any_way_of_counting(profile: Profile, seed: int) -> None:
    """A sliding window, a fixed second, and a window that counts refused requests too: for 60 seconds at full load."""
    provider = PaceSimulation(profile, seed=seed).run(seconds=60)

    assert provider.refused == 0
    assert provider.requests > 60 * 50


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed {seed}")
@pytest.mark.parametrize(
    ("latency_s", "workers", "settings", "used_share"),
    [
        pytest.param((0.005, 0.010), 200, replace(FULL_RATE, jitter=_ms(26)), 0.97, id="warm"),
        pytest.param((0.005, 0.080), 200, replace(FULL_RATE, jitter=_ms(80)), 0.92, id="wide"),
        pytest.param(WARM.latency_s, WARM.workers, replace(SETTINGS, jitter=_ms(40)), 0.94, id="lockout_safe"),
    ],
)
def test_the_rate_that_the_jitter_leaves_is_used(
    latency_s: tuple[float, float], workers: int, settings: GuardSettings, used_share: float, seed: int
) -> None:
    profile = Profile(name="used", latency_s=latency_s, workers=workers, settings=settings)

    provider = PaceSimulation(profile, seed=seed).run(seconds=30)

    assert provider.refused == 0
    assert provider.requests >= used_share * 30 * 80


def test_a_pause_right_before_the_write_fits_into_a_wide_jitter() -> None:
    assert PaceSimulation(replace(MANY, pauses_before_write=True), seed=1).run(seconds=60).refused == 0


LEARNING: Final = replace(SETTINGS, least_jitter=_ms(20))
LEARNED: Final = Profile(name="learned", latency_s=(0.005, 0.010), workers=12, settings=LEARNING)


@pytest.mark.parametrize("skew_s", [0.001, 0.01], ids=lambda skew_s: f"clocks within {skew_s * 1000:g} ms")
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed {seed}")
def test_the_learned_room_is_narrow_and_keeps_the_rate(seed: int, skew_s: float) -> None:
    """The first minute begins with the widest room. One request in a hundred pauses for up to half a second."""
    provider = PaceSimulation(replace(LEARNED, skew_s=skew_s), seed=seed).run(seconds=120)

    assert provider.refused == 0
    assert sum(at >= 60 for at in provider.received_at) >= 0.95 * 60 * 80


def _state_with_lateness(now_us: int, *, milliseconds: int) -> ProviderLimitState:
    """Build a state with another container's permit, which carries its lateness."""
    return ProviderLimitState(permits={"other": now_us + to_us(LEARNING.lease) + milliseconds})


def test_the_room_grows_with_late_requests_and_shrinks_again() -> None:
    pace, now_us = Pace(LEARNING), 1_000_000_000
    assert pace.room_us(now_us) == 75_000
    pace.observe(_state_with_lateness(now_us, milliseconds=0), now_us=now_us)
    assert pace.room_us(now_us) == 20_000
    for late_us in (0, 0, 30_000, 0, 40_000):
        pace.record_lateness(left_us=late_us, answered_us=10_000)
    assert pace.room_us(now_us) == 50_000
    for _ in range(16):
        pace.record_lateness(left_us=0, answered_us=10_000)
    assert pace.room_us(now_us) == 20_000
    pace.observe(_state_with_lateness(now_us, milliseconds=50), now_us=now_us)
    assert pace.room_us(now_us) == 70_000
    assert pace.room_us(now_us + 10_000_000) == 45_000
    assert pace.compute_permit_end(now_us) % 1_000 == 50
    assert 20_000 < pace.room_us(now_us + 60_000_000) < 25_000


def test_a_slow_answer_counts_as_lateness_from_the_second_on() -> None:
    pace = Pace(LEARNING)
    pace.observe(_state_with_lateness(1_000_000_000, milliseconds=0), now_us=1_000_000_000)
    for answered_us, room_us in ((10_000, 20_000), (25_000, 20_000), (28_000, 35_000)):
        pace.record_lateness(left_us=0, answered_us=answered_us)
        assert pace.room_us(1_000_000_000) == room_us


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed {seed}")
def test_a_provider_slower_than_its_word_answers_503_once_a_minute(seed: int) -> None:
    """It accepts 76 requests a second, and its document says 80: the pace falls at once, and comes back."""
    simulation = PaceSimulation(replace(LEARNED, skew_s=0.001), seed=seed, limit=76)
    provider = simulation.run(seconds=180)

    [first, *later] = provider.refused_at
    # Requests of the same moment are refused together, and back off once.
    assert all(at < first + 0.2 or at > first + 60 for at in later)
    rates = [sum(second <= at < second + 5 for at in provider.received_at) / 5 for second in (first + 0.5, first + 50)]
    assert rates[0] < 66
    assert rates[1] > 73


def test_a_room_that_a_503_does_not_widen_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_settings, "_FULL_ROOM_US", 0)
    refused_at = PaceSimulation(replace(LEARNED, skew_s=0.001), seed=1, limit=76).run(seconds=180).refused_at

    assert any(refused_at[0] + 0.2 <= at <= refused_at[0] + 60 for at in refused_at)


def test_slots_without_jitter_exceed_the_rate() -> None:
    profile = Profile(name="no jitter", latency_s=WIDE.latency_s, workers=60, settings=NO_JITTER)

    assert PaceSimulation(profile, seed=1).run(seconds=60).refused > 0

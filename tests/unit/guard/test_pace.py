"""The provider's rate is never exceeded, however late and by whose clock requests leave. (I10)"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from switchboard.guard.provider.rate_limiter import GuardSettings
from tests.harness.pacing import Pace, Profile


def _ms(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)


LIMITS: Final = GuardSettings(requests_per_s=80)
WARM: Final = Profile(name="warm", latency_s=(0.005, 0.025), workers=20, limits=LIMITS)
WIDE: Final = Profile(name="wide", latency_s=(0.005, 0.080), workers=20, limits=LIMITS)
# Without the cap it is the pace alone that has to hold; it then needs more room for latencies that differ so much.
MANY: Final = Profile(
    name="many",
    latency_s=WIDE.latency_s,
    workers=60,
    limits=GuardSettings(requests_per_s=80, jitter=timedelta(milliseconds=100), in_flight=60),
)
FULL: Final = GuardSettings(requests_per_s=80, in_flight=None)
NO_JITTER: Final = GuardSettings(requests_per_s=80, jitter=timedelta(0), in_flight=60)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("profile", [WARM, WIDE, MANY], ids=lambda profile: profile.name)
def test_no_request_exceeds_the_rate_by_any_way_of_counting(profile: Profile, seed: int) -> None:
    """A sliding window, a fixed second, and a window in which total_401s count: 60 seconds of as much as there is."""
    provider = Pace(profile, seed=seed).run(seconds=60)

    assert provider.refused == 0
    assert provider.requests > 60 * 50


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("profile", "used"),
    [
        (Profile(name="warm", latency_s=(0.005, 0.010), workers=200, limits=replace(FULL, jitter=_ms(26))), 0.97),
        (Profile(name="wide", latency_s=(0.005, 0.080), workers=200, limits=replace(FULL, jitter=_ms(80))), 0.92),
        (replace(WARM, limits=replace(LIMITS, jitter=_ms(40))), 0.94),
    ],
    ids=["warm", "wide", "lockout_safe"],
)
def test_the_pace_that_is_left_by_the_jitter_is_used(profile: Profile, used: float, seed: int) -> None:
    provider = Pace(profile, seed=seed).run(seconds=30)

    assert provider.refused == 0
    assert provider.requests >= used * 30 * 80


def test_a_pause_that_nobody_can_see_fits_into_the_jitter_of_wide_latencies() -> None:
    assert Pace(replace(MANY, unseen=True), seed=1).run(seconds=60).refused == 0


def test_slots_without_room_for_lateness_exceed_it() -> None:
    profile = Profile(name="no jitter", latency_s=WIDE.latency_s, workers=60, limits=NO_JITTER)

    assert Pace(profile, seed=1).run(seconds=60).refused > 0

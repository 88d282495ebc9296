"""Requests never exceed the provider's rate, however late and by whose clock they leave. (I10)"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from switchboard.guard.provider.rate_limiter import GuardSettings
from tests.harness.pacing import PaceSimulation, Profile


def _ms(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)


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


@pytest.mark.parametrize("seed", [1, 2, 3], ids=lambda seed: f"seed {seed}")
@pytest.mark.parametrize("profile", [WARM, WIDE, MANY], ids=lambda profile: profile.name)
def test_no_request_exceeds_the_rate_by_any_way_of_counting(profile: Profile, seed: int) -> None:
    """A sliding window, a fixed second, and a window that counts refused requests too: for 60 seconds at full load."""
    provider = PaceSimulation(profile, seed=seed).run(seconds=60)

    assert provider.refused == 0
    assert provider.requests > 60 * 50


@pytest.mark.parametrize("seed", [1, 2], ids=lambda seed: f"seed {seed}")
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


def test_slots_without_jitter_exceed_the_rate() -> None:
    profile = Profile(name="no jitter", latency_s=WIDE.latency_s, workers=60, settings=NO_JITTER)

    assert PaceSimulation(profile, seed=1).run(seconds=60).refused > 0

"""How far apart slots are, after the provider has said that we are too fast."""

from __future__ import annotations

from switchboard.domain.rate_limits import ProviderLimitState, SlotRequest
from switchboard.guard.provider.settings import GuardSettings, in_us


class Pace:
    """The step by what was last seen of the state: as wide as it was slowed to, and narrower as time goes by."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._backoff_recovery_us = in_us(settings.backoff_recovery)
        self._backoff_percent = 100
        self._backed_off_us = 0

    def observe(self, state: ProviderLimitState) -> None:
        """To be told every state of the state."""
        self.record_backoff(pct=state.backoff_percent, at_us=state.backed_off_us)

    def record_backoff(self, *, pct: int, at_us: int) -> None:
        """To be told what this container itself did to the state."""
        self._backoff_percent, self._backed_off_us = pct, at_us

    def request(self, *, now_us: int, latest_us: int, count: int) -> SlotRequest:
        """For so many slots, or for as many of them as there is time for."""
        interval_us = self._settings.interval_us * self._pct(now_us) // 100
        return SlotRequest(
            interval_us=interval_us,
            now_us=now_us,
            latest_us=latest_us,
            count=min(count, 1 + max(0, latest_us - now_us) // interval_us),
            backed_off_us=self._backed_off_us,
            recovered_us=now_us - self._backoff_recovery_us,
        )

    def next_backoff_percent(self, *, now_us: int) -> int:
        """How wide the step is to become, in per cent of the full pace's."""
        return min(self._settings.max_backoff_percent, self._pct(now_us) * self._settings.backoff_step_percent // 100)

    def requests_per_s(self, *, now_us: int) -> float:
        """The pace that is kept at this moment."""
        return self._settings.requests_per_s * 100 / self._pct(now_us)

    def _pct(self, now_us: int) -> int:
        passed_us = max(0, now_us - self._backed_off_us)
        if not self._backed_off_us or passed_us >= self._backoff_recovery_us:
            return 100
        return (
            100 + (self._backoff_percent - 100) * (self._backoff_recovery_us - passed_us) // self._backoff_recovery_us
        )


def compute_requests_per_s(settings: GuardSettings, state: ProviderLimitState, now_us: int) -> float:
    """Return the rate that a guard with these settings keeps in this state at `now_us` (Unix microseconds)."""
    pace = Pace(settings)
    pace.observe(state)
    return pace.requests_per_s(now_us=now_us)

"""The interval between slots, wider for a while after the provider has answered that requests come too fast."""

from __future__ import annotations

from switchboard.domain.rate_limits import ProviderLimitState, SlotRequest
from switchboard.domain.timestamps import to_us
from switchboard.guard.provider.settings import GuardSettings


class Pace:
    """The present interval: widened by the last back-off that was observed, and narrowing again as time passes."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._backoff_recovery_us = to_us(settings.backoff_recovery)
        self._backoff_percent = 100
        self._backed_off_us = 0

    def observe(self, state: ProviderLimitState) -> None:
        """Take over the back-off of a state that the store has returned."""
        self.record_backoff(percent=state.backoff_percent, at_us=state.backed_off_us)

    def record_backoff(self, *, percent: int, at_us: int) -> None:
        """Take over a back-off that this container has written itself."""
        self._backoff_percent, self._backed_off_us = percent, at_us

    def build_request(self, *, now_us: int, latest_us: int, count: int) -> SlotRequest:
        """Build the request for `count` slots, or for as many as fit in before `latest_us` (at least one)."""
        interval_us = self._settings.interval_us * self._current_percent(now_us) // 100
        return SlotRequest(
            interval_us=interval_us,
            now_us=now_us,
            latest_us=latest_us,
            count=min(count, 1 + max(0, latest_us - now_us) // interval_us),
            backed_off_us=self._backed_off_us,
            recovered_us=now_us - self._backoff_recovery_us,
        )

    def next_backoff_percent(self, *, now_us: int) -> int:
        """Return how wide the next back-off makes the interval, in per cent of the full pace's."""
        percent = self._current_percent(now_us) * self._settings.backoff_step_percent // 100
        return min(self._settings.max_backoff_percent, percent)

    def requests_per_s(self, *, now_us: int) -> float:
        """Return the rate at this moment."""
        return self._settings.requests_per_s * 100 / self._current_percent(now_us)

    def _current_percent(self, now_us: int) -> int:
        elapsed_us = max(0, now_us - self._backed_off_us)
        if not self._backed_off_us or elapsed_us >= self._backoff_recovery_us:
            return 100
        remaining_us = self._backoff_recovery_us - elapsed_us
        return 100 + (self._backoff_percent - 100) * remaining_us // self._backoff_recovery_us

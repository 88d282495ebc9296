"""How far apart slots are, after the provider has said that we are too fast."""

from __future__ import annotations

from switchboard.domain.rate_limits import LaneState, SlotRequest
from switchboard.guard.provider.settings import GateLimits, in_us


class Pace:
    """The step by what was last seen of the lane: as wide as it was slowed to, and narrower as time goes by."""

    def __init__(self, limits: GateLimits) -> None:
        self._limits = limits
        self._recovery_us = in_us(limits.recovery)
        self._slow_pct = 100
        self._slowed_us = 0

    def saw(self, lane: LaneState) -> None:
        """To be told every state of the lane."""
        self.slowed(pct=lane.slow_pct, at_us=lane.slowed_us)

    def slowed(self, *, pct: int, at_us: int) -> None:
        """To be told what this container itself did to the lane."""
        self._slow_pct, self._slowed_us = pct, at_us

    def request(self, *, now_us: int, latest_us: int, count: int) -> SlotRequest:
        """For so many slots, or for as many of them as there is time for."""
        step_us = self._limits.step_us * self._pct(now_us) // 100
        return SlotRequest(
            step_us=step_us,
            now_us=now_us,
            latest_us=latest_us,
            count=min(count, 1 + max(0, latest_us - now_us) // step_us),
            slowed_us=self._slowed_us,
            recovered_us=now_us - self._recovery_us,
        )

    def slower(self, *, now_us: int) -> int:
        """How wide the step is to become, in per cent of the full pace's."""
        return min(self._limits.slowest_pct, self._pct(now_us) * self._limits.slowing_pct // 100)

    def requests_per_s(self, *, now_us: int) -> float:
        """The pace that is kept at this moment."""
        return self._limits.requests_per_s * 100 / self._pct(now_us)

    def _pct(self, now_us: int) -> int:
        passed_us = max(0, now_us - self._slowed_us)
        if not self._slowed_us or passed_us >= self._recovery_us:
            return 100
        return 100 + (self._slow_pct - 100) * (self._recovery_us - passed_us) // self._recovery_us

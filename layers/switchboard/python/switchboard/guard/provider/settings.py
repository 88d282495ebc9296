"""Settings of a provider's guard, and the pace of requests that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from switchboard.domain.rate_limits import ProviderLimitState, SlotRequest
from switchboard.domain.timestamps import to_us


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The limits of one provider for one egress address, and the margins that the guard keeps from them.

    Rate: `requests_per_s` is the documented limit. Slots are spread over `1 s + jitter`, so that requests which reach
    the provider up to `jitter` after their slot still keep the limit in any window of one second.

    Back-off: if the provider answers that requests come too fast all the same, the interval is widened to
    `backoff_step_percent` per cent of the present one, up to `max_backoff_percent` of the full pace's. An answer to a
    request that was reserved before the last back-off does not count. The back-off wears off within
    `backoff_recovery`. One such answer is most often one late request: it costs less than three seconds' worth of
    requests. A pace that is still too fast gets the answer again, and the interval grows by another fifth each time.

    Circuit breaker: `open_after_401s` 401s in a row open the circuit. Then each new version of the credentials gets
    one half-open probe, up to `max_consecutive_401s` in a row. Beyond that an operator has to act, since MediaSMS
    itself blocks the address at ten.

    Concurrency: `in_flight` workers may have a request in flight at once (`lockout_safe`). When the third 401 is
    recorded, its own worker has nothing in flight, and each of the six other workers may still get one: 3 + 6 = 9. With
    eight in flight the tenth 401 could reach the provider. A half-open probe is sent alone: at most 7 + 1. None
    (`full_rate`) allows any number of requests in flight, and so any number of 401s when the circuit opens.
    A permit lasts for `lease` after each reservation. That outlasts a request: at most 5 s of waiting for the slot and
    10 s for the provider, and a margin for recording the answer and for clocks that disagree.
    Idle workers keep up to `idle_permits` permits, or half of `in_flight` if it is None. A worker that takes one beyond
    that returns it after its request, at the cost of one more write. `idle_permits` has to be less than the limit of
    any `ProviderGuards.with_concurrency_limit`.

    Batches: one write reserves at most `block_size` slots.

    Clocks: a container whose clock is off by more than `max_clock_drift` gets no slot. A next slot further ahead than
    `max_lead` is taken for the work of such a clock.
    """

    requests_per_s: int
    jitter: timedelta = timedelta(milliseconds=75)
    open_after_401s: int = 3
    max_consecutive_401s: int = 8
    in_flight: int | None = 7
    idle_permits: int | None = None
    lease: timedelta = timedelta(seconds=30)
    block_size: int = 10
    backoff_step_percent: int = 120
    max_backoff_percent: int = 800
    backoff_recovery: timedelta = timedelta(seconds=30)
    max_clock_drift: timedelta = timedelta(seconds=2)
    max_lead: timedelta = timedelta(seconds=60)

    @property
    def interval_us(self) -> int:
        """The microseconds from one slot to the next, at full pace."""
        return -(-(1_000_000 + to_us(self.jitter)) // self.requests_per_s)

    def is_concurrency_exhausted(self, permits: int) -> bool:
        """Tell if `permits` is so high that an idle worker has to return its permit."""
        if self.in_flight is None:
            return False
        return permits > (self.in_flight // 2 if self.idle_permits is None else self.idle_permits)


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


def compute_requests_per_s(settings: GuardSettings, state: ProviderLimitState, now_us: int) -> float:
    """Return the rate that a guard with these settings keeps in this state at `now_us` (Unix microseconds)."""
    pace = Pace(settings)
    pace.observe(state)
    return pace.requests_per_s(now_us=now_us)

"""Settings of a provider's guard, and the pace of requests that follows from them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from switchboard.domain.rate_limits import ProviderLimitState, SlotRequest
from switchboard.domain.timestamps import to_us

# The requests that the learned room looks back on, its decay, and the time after a back-off in which it is as wide as
# it may be.
_SAMPLES: Final = 16
_HALVED_AFTER_US: Final = 10_000_000
_FULL_ROOM_US: Final = 60_000_000
# The age up to which another container's lateness is of use.
_FRESH_US: Final = 30_000_000
_MS_US: Final = 1_000
_MICROSECOND: Final = timedelta(microseconds=1)


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

    Learned room: with `least_jitter`, the slots are spread over `1 s + room`. The room is `least_jitter`, by which the
    clocks of containers may disagree, and how late the requests of late were. It is `jitter` at the most, and for the
    minute after an answer that requests come too fast.
    """

    requests_per_s: int
    jitter: timedelta = timedelta(milliseconds=75)
    least_jitter: timedelta | None = None
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
        """The microseconds from one slot to the next, at full pace with the whole `jitter`."""
        return self.compute_interval_us(to_us(self.jitter))

    def compute_interval_us(self, room_us: int) -> int:
        """Return the microseconds from one slot to the next, at full pace with this room for late requests."""
        return -(-(1_000_000 + room_us) // self.requests_per_s)

    def is_concurrency_exhausted(self, permits: int) -> bool:
        """Tell if `permits` is so high that an idle worker has to return its permit."""
        if self.in_flight is None:
            return False
        return permits > (self.in_flight // 2 if self.idle_permits is None else self.idle_permits)


class Pace:
    """The present interval: widened by the last back-off that was observed, and narrowing again as time passes.

    The room for late requests is learned. A request was as late as it left after its slot, and as its answer took
    longer than the quickest one. The second largest of the last ones counts: a single one is a pause of this container.
    The largest value of all containers halves every ten seconds. Each container writes it into its permit: the
    milliseconds are the last three digits of the permit's end, which tells when it was written, too.
    """

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._backoff_recovery_us = to_us(settings.backoff_recovery)
        self._backoff_percent = 100
        self._backed_off_us = 0
        self._most_room_us = to_us(settings.jitter)
        self._least_room_us = min(settings.jitter, settings.least_jitter or settings.jitter) // _MICROSECOND
        self._shared_lateness_us, self._shared_at_us = self._most_room_us, 0
        self._lease_us = to_us(settings.lease)
        self._lateness_us: deque[int] = deque(maxlen=_SAMPLES)
        self._answers_us: deque[int] = deque(maxlen=_SAMPLES)

    def observe(self, state: ProviderLimitState, *, now_us: int) -> None:
        """Take over the back-off and the lateness of a state that the store has returned at `now_us`."""
        self.record_backoff(percent=state.backoff_percent, at_us=state.backed_off_us)
        written = [(until - self._lease_us, until % _MS_US * _MS_US) for until in state.permits.values()]
        others = [_decay(lateness_us, now_us - at_us) for at_us, lateness_us in written if now_us - at_us < _FRESH_US]
        if self._shared_at_us:
            others.append(_decay(self._shared_lateness_us, now_us - self._shared_at_us))
        if others:
            self._shared_lateness_us, self._shared_at_us = max(others), now_us

    def compute_permit_end(self, now_us: int) -> int:
        """Return the end of a permit that is taken now, whose last three digits are the lateness in milliseconds."""
        if self._least_room_us == self._most_room_us:
            # Nothing is learned.
            return now_us + self._lease_us
        lateness_ms = min(self.lateness_us(now_us) // _MS_US, _MS_US - 1)
        return (now_us + self._lease_us) // _MS_US * _MS_US + lateness_ms

    def record_lateness(self, *, left_us: int, answered_us: int) -> None:
        """Record a request that left `left_us` after its slot and was answered `answered_us` later."""
        self._answers_us.append(answered_us)
        self._lateness_us.append(max(0, left_us) + answered_us - min(self._answers_us))

    def lateness_us(self, now_us: int) -> int:
        """Return by how much requests may reach the provider too late, at the most `GuardSettings.jitter`."""
        own_us = sorted(self._lateness_us)[-2] if len(self._lateness_us) > 1 else 0
        # Before it has read anything, this container expects the worst, and says so only while it knows nothing.
        shared_us = _decay(self._shared_lateness_us, now_us - self._shared_at_us) if self._shared_at_us else None
        return min(self._most_room_us, max(own_us, self._most_room_us if shared_us is None else shared_us))

    def room_us(self, now_us: int) -> int:
        """Return the time by which a request may reach the provider too late for its slot."""
        if self._backed_off_us and now_us - self._backed_off_us < _FULL_ROOM_US:
            return self._most_room_us
        return min(self._most_room_us, self._least_room_us + self.lateness_us(now_us))

    @property
    def answer_us(self) -> int:
        """The usual time of an answer (0: not known yet)."""
        return sorted(self._answers_us)[len(self._answers_us) // 2] if self._answers_us else 0

    def record_backoff(self, *, percent: int, at_us: int) -> None:
        """Take over a back-off that this container has written itself."""
        self._backoff_percent, self._backed_off_us = percent, at_us

    def build_request(self, *, now_us: int, latest_us: int, count: int) -> SlotRequest:
        """Build the request for `count` slots, or for as many as fit in before `latest_us` (at least one)."""
        interval_us = self.interval_us(now_us)
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

    def interval_us(self, now_us: int) -> int:
        """Return the interval between two slots at this moment."""
        return self._settings.compute_interval_us(self.room_us(now_us)) * self._current_percent(now_us) // 100

    def _current_percent(self, now_us: int) -> int:
        elapsed_us = max(0, now_us - self._backed_off_us)
        if not self._backed_off_us or elapsed_us >= self._backoff_recovery_us:
            return 100
        remaining_us = self._backoff_recovery_us - elapsed_us
        return 100 + (self._backoff_percent - 100) * remaining_us // self._backoff_recovery_us


def compute_requests_per_s(settings: GuardSettings, state: ProviderLimitState, now_us: int) -> float:
    """Return the rate that a guard with these settings keeps in this state at `now_us` (Unix microseconds)."""
    pace = Pace(settings)
    pace.observe(state, now_us=now_us)
    return pace.requests_per_s(now_us=now_us)


def _decay(lateness_us: int, age_us: int) -> int:
    return int(lateness_us * 0.5 ** (max(0, age_us) / _HALVED_AFTER_US))

"""What a provider takes from one egress address: how many requests a second, how many at once, how many total_401s."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from switchboard.domain.timestamps import MICROSECOND


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """A provider's rate and what is tolerated of its total_401s.

    `requests_per_s` is the documented limit; slots are spread over `1 s + jitter`, so that requests which reach the
    provider up to `jitter` after their slot still keep the limit in any window of one second. Where the provider
    answers that we are too fast all the same, they are spread `backoff_step_percent` per cent as wide, by every such
    answer to a request that was not reserved before the last one, up to `max_backoff_percent`; that wears off within
    `backoff_recovery`. One
    such answer is most often one late request: it costs less than three seconds' worth of requests. A pace that is
    still too fast is answered so again, and each time slots get wider by another fifth.

    `open_after_401s` 401s in a row open the circuit. Other credentials get one try each up to `max_consecutive_401s`
    in a row; beyond that a person has to look, since MediaSMS itself blocks the address at ten.

    `in_flight` workers may have a request under way at once (`lockout_safe`): when the third 401 is written down, its
    own worker has nothing in flight, and each of the six others may still get one. 3 + 6 = 9, so that with eight in
    flight the tenth 401 could reach the provider. A try while the circuit is open is made alone: at most 7 + 1. None
    (`full_rate`): any number, and so may the 401s be that are under way when the circuit opens.
    A worker holds its place for `lease` after each reservation, which outlasts a request: 5 s of waiting for the slot
    and 10 s for the provider at most, and a margin for writing down the answer and for clocks that disagree.
    Idle workers keep up to `idle_permits` places, or half of them; whoever takes one beyond that gives it back, for one
    write more. Where some leave places to others (`ProviderGuards.narrowed`), it has to be less than what they may
    take.

    `block` slots at most are reserved by one write, for a batch. A clock that is off by more than `max_clock_drift`
    gets no slot, and a next_slot further ahead than `max_lead` is taken for what such a clock once left behind.
    """

    requests_per_s: int
    jitter: timedelta = timedelta(milliseconds=75)
    open_after_401s: int = 3
    max_consecutive_401s: int = 8
    in_flight: int | None = 7
    idle_permits: int | None = None
    lease: timedelta = timedelta(seconds=30)
    block: int = 10
    backoff_step_percent: int = 120
    max_backoff_percent: int = 800
    backoff_recovery: timedelta = timedelta(seconds=30)
    max_clock_drift: timedelta = timedelta(seconds=2)
    max_lead: timedelta = timedelta(seconds=60)

    def is_concurrency_exhausted(self, taken: int) -> bool:
        """So many places are taken that whoever is idle gives its own back."""
        if self.in_flight is None:
            return False
        return taken > (self.in_flight // 2 if self.idle_permits is None else self.idle_permits)

    @property
    def interval_us(self) -> int:
        """From one slot to the next, at full pace."""
        return -(-(1_000_000 + in_us(self.jitter)) // self.requests_per_s)


def in_us(span: timedelta) -> int:
    """Whole microseconds."""
    return span // MICROSECOND

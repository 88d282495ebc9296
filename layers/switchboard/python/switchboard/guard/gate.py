"""Admits one request at a time into a provider's rate, and none while its circuit is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    LockedOutError,
    NoSlotError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
)
from switchboard.ports.clock import Clock
from switchboard.ports.lanes import CircuitRule, LaneMove, LaneState, LaneStore, Permit

_SECOND_US = 1_000_000
# A refused reservation is worth another look at what was in its way, as long as others only got there first.
_TRIES = 4


@dataclass(frozen=True, slots=True)
class GateLimits:
    """A provider's rate and what is tolerated of its refusals.

    `requests_per_s` is the documented limit; slots are spread over `1 s + jitter`, so that requests which reach the
    provider up to `jitter` after their slot still keep the limit in any window of one second.
    `streak_limit` 401s in a row open the circuit. Other credentials get one try each up to `streak_ceiling` in a row;
    beyond that a person has to look, since the provider itself blocks the address at ten.

    `in_flight` workers may have a request under way at once: when the third 401 is written down, its own worker has
    nothing in flight, and each of the six others may still get one. 3 + 6 = 9, so that with eight in flight the
    tenth 401 could reach the provider. A try while the circuit is open is made alone: at most 7 + 1.
    A worker holds its place for `lease` after each reservation, which outlasts a request: 5 s of waiting for the slot
    and 10 s for the provider at most, and a margin for writing down the answer and for clocks that disagree.
    Idle workers keep up to half of the places; whoever takes one beyond that gives it back, for one write more.
    """

    requests_per_s: int
    jitter: timedelta = timedelta(milliseconds=75)
    streak_limit: int = 3
    streak_ceiling: int = 8
    in_flight: int = 7
    lease: timedelta = timedelta(seconds=30)


class PacedGate:
    """A SendGate over one lane: an egress address at a provider.

    `worker` names whoever uses this gate, for one request at a time: a container.
    """

    def __init__(
        self,
        *,
        lanes: LaneStore,
        lane: str,
        worker: str,
        limits: GateLimits,
        clock: Clock,
        version: Callable[[], str],
        forget_credentials: Callable[[], None] = lambda: None,
    ) -> None:
        self._lanes = lanes
        self._lane = lane
        self._worker = worker
        self._limits = limits
        self._clock = clock
        self._version = version
        self._forget_credentials = forget_credentials
        self._jitter_us = limits.jitter // timedelta(microseconds=1)
        self._step_us = -(-(_SECOND_US + self._jitter_us) // limits.requests_per_s)
        self._last_cursor_us = 0
        self._lead_us = 0
        self._refusals_seen = 0
        self._crowded = False
        self._unwritten: Callable[[], object] | None = None
        self._version_used = ""

    def reserve(self, *, latest: datetime) -> datetime:
        """Waits for nothing itself: the caller sends at the instant returned, and drops a slot it is late for."""
        self._write_down()
        self._version_used = self._version()
        now_us, latest_us = _to_us(self._clock.now()), _to_us(latest)
        if now_us >= latest_us:
            raise NoSlotError("the waiting budget is spent")
        lane = LaneState()
        for _ in range(_TRIES):
            move = self._timed_move(now_us=now_us, latest_us=latest_us, permit=self._permit(lane, now_us=now_us))
            lane = move.lane
            self._last_cursor_us = lane.cursor_us
            if move.moved:
                self._refusals_seen = lane.refusals if lane.streak else 0
                self._crowded = len(lane.permits) > self._limits.in_flight // 2
                return _from_us(lane.cursor_us - self._step_us)
            if self._is_closed(lane):
                permit = self._permit(lane, now_us=now_us)
                if lane.cursor_us > latest_us or not self._fits(permit, lane):
                    break
            elif not self._has_new_credentials():
                break
        raise self._refusal(lane, now_us=now_us, latest_us=latest_us)

    def is_stale(self, slot: datetime) -> bool:
        """The slot is so long past that using it could crowd those after it."""
        return self._clock.now() > slot + self._limits.jitter

    def heard(self, error: ProviderError | None) -> None:
        """Writes only what changes the circuit, or makes room where it is wanted: an ordinary answer costs nothing.

        What could not be written is written before the next reservation: a lost refusal would let one more through.
        """
        if isinstance(error, AuthenticationFailedError):
            # They may have been replaced since they were read; whatever is read next is tried like any other.
            self._forget_credentials()
            self._unwritten = lambda: self._lanes.add_refusal(self._lane, worker=self._worker)
        elif isinstance(error, AddressBlockedError):
            code = error.provider_code or "blocked"
            self._unwritten = lambda: self._lanes.block(self._lane, code=code)
        elif self._refusals_seen and not isinstance(error, NotSentError | OutcomeUnknownError):
            self._lanes.end_streak(self._lane, seen=self._refusals_seen)
            self._refusals_seen = 0
        self._write_down()
        if self._crowded and not isinstance(error, AuthenticationFailedError | OutcomeUnknownError):
            self._lanes.give_back(self._lane, worker=self._worker)
            self._crowded = False

    def _write_down(self) -> None:
        if self._unwritten is not None:
            self._unwritten()
            self._unwritten = None

    def _timed_move(self, *, now_us: int, latest_us: int, permit: Permit) -> LaneMove:
        """Asks for a slot as far ahead as the last answer took to come: an earlier one would be stale on arrival."""
        asked = self._clock.now()
        ahead_us = min(now_us + self._lead_us, latest_us)
        move = self._move(now_us=ahead_us, latest_us=latest_us, permit=permit)
        self._lead_us = (self._clock.now() - asked) // timedelta(microseconds=1)
        return move

    def _move(self, *, now_us: int, latest_us: int, permit: Permit) -> LaneMove:
        """Tries first the branch that the last sight of the cursor makes likely: one write in the usual case."""
        rule = self._rule()
        busy_first = self._last_cursor_us >= now_us
        move = LaneMove(moved=False, lane=LaneState())
        for append in (busy_first, not busy_first):
            if append:
                move = self._lanes.append(
                    self._lane, step_us=self._step_us, now_us=now_us, latest_us=latest_us, rule=rule, permit=permit
                )
            else:
                move = self._lanes.restart(self._lane, step_us=self._step_us, now_us=now_us, rule=rule, permit=permit)
            if move.moved or not self._fits(permit, move.lane) or move.lane.cursor_us > latest_us:
                break
        return move

    def _permit(self, lane: LaneState, *, now_us: int) -> Permit:
        """Ours; where there is no room for it, in the place of those that ran out."""
        permit = Permit(worker=self._worker, until_us=now_us + self._limits.lease // timedelta(microseconds=1))
        if self._fits(permit, lane):
            return permit
        others = {worker: until for worker, until in lane.permits.items() if worker != self._worker}
        return replace(permit, expired={worker: until for worker, until in others.items() if until < now_us})

    def _fits(self, permit: Permit, lane: LaneState) -> bool:
        return permit.fits(lane, room=self._rule().room(lane))

    def _refusal(self, lane: LaneState, *, now_us: int, latest_us: int) -> LockedOutError | NoSlotError:
        if not self._is_closed(lane):
            return LockedOutError(
                "the circuit of this egress address is open",
                reason=lane.blocked_by or "authentication",
            )
        if not self._fits(self._permit(lane, now_us=now_us), lane):
            first = min(until for worker, until in lane.permits.items() if worker != self._worker)
            return NoSlotError(
                "as many requests are in flight as may be",
                retry_after_s=max(0.0, (first - now_us) / _SECOND_US),
                crowded=True,
            )
        return NoSlotError(
            "no slot within the waiting budget",
            retry_after_s=max(0.0, (lane.cursor_us - latest_us) / _SECOND_US),
        )

    def _has_new_credentials(self) -> bool:
        """Looks past the cache: while the circuit is open, new credentials are what everybody waits for."""
        refused = self._version_used
        self._forget_credentials()
        self._version_used = self._version()
        return self._version_used != refused

    def _is_closed(self, lane: LaneState) -> bool:
        return self._rule().room(lane) > 0

    def _rule(self) -> CircuitRule:
        return CircuitRule(
            version=self._version_used,
            limit=self._limits.streak_limit,
            ceiling=self._limits.streak_ceiling,
            in_flight=self._limits.in_flight,
        )


def _to_us(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _from_us(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

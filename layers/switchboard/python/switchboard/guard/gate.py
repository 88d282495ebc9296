"""Admits one request at a time into a provider's rate, and none while its circuit is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from switchboard.ports.lanes import CircuitRule, LaneMove, LaneState, LaneStore

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class GateLimits:
    """A provider's rate and what is tolerated of its refusals.

    `requests_per_s` is the documented limit; slots are spread over `1 s + jitter`, so that requests which reach the
    provider up to `jitter` after their slot still keep the limit in any window of one second.
    `streak_limit` 401s in a row open the circuit. Other credentials get one try each up to `streak_ceiling` in a row;
    beyond that a person has to look, since the provider itself blocks the address at ten.
    """

    requests_per_s: int
    jitter: timedelta = timedelta(milliseconds=50)
    streak_limit: int = 3
    streak_ceiling: int = 8


class PacedGate:
    """A SendGate over one lane: an egress address at a provider."""

    def __init__(
        self,
        *,
        lanes: LaneStore,
        lane: str,
        limits: GateLimits,
        clock: Clock,
        version: Callable[[], str],
        forget_credentials: Callable[[], None] = lambda: None,
    ) -> None:
        self._lanes = lanes
        self._lane = lane
        self._limits = limits
        self._clock = clock
        self._version = version
        self._forget_credentials = forget_credentials
        self._jitter_us = limits.jitter // timedelta(microseconds=1)
        self._step_us = -(-(_SECOND_US + self._jitter_us) // limits.requests_per_s)
        self._last_cursor_us = 0
        self._streak_seen = 0
        self._version_used = ""

    def reserve(self, *, latest: datetime) -> datetime:
        """Waits for nothing itself: the caller sends at the instant returned, and drops a slot it is late for."""
        self._version_used = self._version()
        now_us, latest_us = _to_us(self._clock.now()), _to_us(latest)
        if now_us >= latest_us:
            raise NoSlotError("the waiting budget is spent")
        move = self._move(now_us=now_us, latest_us=latest_us)
        if not move.moved and not self._is_closed(move) and self._has_new_credentials():
            move = self._move(now_us=now_us, latest_us=latest_us)
        self._last_cursor_us = move.lane.cursor_us
        self._streak_seen = move.lane.streak
        if move.moved:
            return _from_us(move.lane.cursor_us - self._step_us)
        if not self._is_closed(move):
            raise LockedOutError(
                "the circuit of this egress address is open",
                reason=move.lane.blocked_by or "authentication",
            )
        raise NoSlotError(
            "no slot within the waiting budget",
            retry_after_s=max(0.0, (move.lane.cursor_us - latest_us) / _SECOND_US),
        )

    def is_stale(self, slot: datetime) -> bool:
        """The slot is so long past that using it could crowd those after it."""
        return self._clock.now() > slot + self._limits.jitter

    def heard(self, error: ProviderError | None) -> None:
        """Writes only what changes the circuit; an ordinary answer costs nothing."""
        if isinstance(error, AuthenticationFailedError):
            # They may have been replaced since they were read; whatever is read next is tried like any other.
            self._forget_credentials()
            self._lanes.add_refusal(self._lane)
        elif isinstance(error, AddressBlockedError):
            self._lanes.block(self._lane, code=error.provider_code or "blocked")
        elif self._streak_seen and not isinstance(error, NotSentError | OutcomeUnknownError):
            self._lanes.end_streak(self._lane, seen=self._streak_seen)
            self._streak_seen = 0

    def _move(self, *, now_us: int, latest_us: int) -> LaneMove:
        """Tries first the branch that the last sight of the cursor makes likely: one write in the usual case."""
        rule = self._rule()
        busy_first = self._last_cursor_us >= now_us
        move = LaneMove(moved=False, lane=LaneState())
        for append in (busy_first, not busy_first):
            if append:
                move = self._lanes.append(
                    self._lane, step_us=self._step_us, now_us=now_us, latest_us=latest_us, rule=rule
                )
            else:
                move = self._lanes.restart(self._lane, step_us=self._step_us, now_us=now_us, rule=rule)
            if move.moved or not self._is_closed(move) or move.lane.cursor_us > latest_us:
                break
        return move

    def _has_new_credentials(self) -> bool:
        """Looks past the cache: while the circuit is open, new credentials are what everybody waits for."""
        refused = self._version_used
        self._forget_credentials()
        self._version_used = self._version()
        return self._version_used != refused

    def _is_closed(self, move: LaneMove) -> bool:
        return self._rule().is_closed(move.lane)

    def _rule(self) -> CircuitRule:
        return CircuitRule(
            version=self._version_used, limit=self._limits.streak_limit, ceiling=self._limits.streak_ceiling
        )


def _to_us(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _from_us(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

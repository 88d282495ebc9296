"""A day at the telephone: numbers that are verified over and over, and callbacks that come late, twice or for others.

What each callback is for is known here, and held against what the system makes of it, which is not told.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from random import Random

from switchboard.domain.errors import VerificationOpenError
from switchboard.domain.phone_numbers import PhoneNumber
from switchboard.domain.verification.verifications import (
    IvrCallEvent,
    Verification,
    VerificationMode,
    VerificationState,
)
from switchboard.ports.verifications import IvrCallMatch
from tests.builders import LINE, MINUTE, OTHER_LINE, a_notice, a_start
from tests.fakes import FixedClock, InMemoryVerificationStore
from tests.verification_systems import assembled_for_verification

NUMBERS = ("+819000000001", "+819000000002", "+819000000003")
HOLDING_MINUTES = 1
GRACE = MINUTE
_MODES = (VerificationMode.CALL_IN, VerificationMode.SMS_AND_CALL_IN)
_SECOND = timedelta(seconds=1)


class Truth(StrEnum):
    """What a callback really is."""

    IN_TIME = "in_time"
    LATE = "late"
    REPEATED = "repeated"
    FOREIGN = "foreign"


EXPLAINED = {
    Truth.IN_TIME: {IvrCallMatch.MATCHED},
    Truth.LATE: {IvrCallMatch.LATE},
    Truth.REPEATED: {IvrCallMatch.DUPLICATE},
    Truth.FOREIGN: {IvrCallMatch.FOREIGN, IvrCallMatch.NO_CANDIDATE},
}
"""What the system may make of each."""


@dataclass(slots=True)
class Ledger:
    """What happened, as who made it happen knows it."""

    started: list[str] = field(default_factory=list)
    called_in_time: set[str] = field(default_factory=set)
    called_late: set[str] = field(default_factory=set)
    outcomes: Counter[tuple[Truth, IvrCallMatch]] = field(default_factory=Counter)
    overdue: list[str] = field(default_factory=list)
    refused: int = 0


class Telephony:
    """Plays `minutes` of it: every minute each number asks to be verified; of those who are, most call."""

    def __init__(self, seed: int, *, grace: timedelta = GRACE) -> None:
        self.clock = FixedClock()
        self.store = InMemoryVerificationStore(grace=grace)
        self.ledger = Ledger()
        self.system = assembled_for_verification(store=self.store, clock=self.clock, grace=grace)
        self._random = Random(seed)
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._start = self.clock.now()

    def play(self, *, minutes: int) -> Ledger:
        for minute in range(minutes):
            for number in NUMBERS:
                self._at(minute * MINUTE + self._random.random() * MINUTE, partial(self._begin, number))
            self._at((minute + 1) * MINUTE, self._sweep)
        while self._agenda:
            after_s, _, happen = heapq.heappop(self._agenda)
            self.clock.sleep_until(self._start + timedelta(seconds=after_s))
            happen()
        self.clock.advance(10 * MINUTE)
        self._sweep()
        return self.ledger

    def state_of(self, verification_id: str) -> VerificationState:
        return self.system.query.one(verification_id, client="client1").status.state

    def _at(self, after: timedelta, happen: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (after.total_seconds(), next(self._order), happen))

    def _in(self, delay: timedelta, happen: Callable[[], None]) -> None:
        self._at(self.clock.now() - self._start + delay, happen)

    def _begin(self, number: str) -> None:
        asked = a_start(
            recipient=PhoneNumber(e164=number),
            mode=self._random.choice(_MODES),
            holding_minutes=HOLDING_MINUTES,
            candidates=(LINE, OTHER_LINE),
        )
        if self._random.random() < 0.01:
            self._foreign()
        try:
            verification = self.system.start(asked).order
        except VerificationOpenError:
            self.ledger.refused += 1
            return
        self.ledger.started.append(verification.id)
        self._call(verification)

    def _call(self, verification: Verification) -> None:
        dice, left = self._random.random(), verification.expires_at - self.clock.now()
        notice = self._notice(verification)
        if dice < 0.05:
            self.ledger.called_late.add(verification.id)
            self._in(left + self._random.random() * (GRACE - _SECOND), lambda: self._tell(notice, Truth.LATE))
        elif dice < 0.85:
            self.ledger.called_in_time.add(verification.id)
            delay = self._random.random() * (left - _SECOND)
            self._in(delay, lambda: self._tell(notice, Truth.IN_TIME))
            if self._random.random() < 0.025:
                again = delay + self._random.random() * (GRACE - _SECOND)
                self._in(again, lambda: self._tell(self._notice(verification), Truth.REPEATED))

    def _notice(self, verification: Verification) -> IvrCallEvent:
        return a_notice(
            recipient=verification.recipient,
            line=verification.line,
            mode=verification.mode,
            smsid=verification.id if self._random.random() < 0.3 else None,
        )

    def _foreign(self) -> None:
        """A number nobody asked about; a line of somebody else; an id that is none; a number and line nobody has."""
        free = [(n, each) for n in NUMBERS for each in (LINE, OTHER_LINE) if not self._is_held(n, each)]
        strange = [
            a_notice(recipient="+819000000009"),
            a_notice(recipient=NUMBERS[0], line="05000000009"),
            a_notice(recipient=NUMBERS[0], smsid="nobody"),
            a_notice(recipient="0900001"),
            *(a_notice(recipient=number, line=line) for number, line in free),
        ]
        self._tell(self._random.choice(strange), Truth.FOREIGN)

    def _is_held(self, number: str, line: str) -> bool:
        lease = self.store.leases.get((number, line))
        return lease is not None and lease.covers(self.clock.now())

    def _tell(self, notice: IvrCallEvent, truth: Truth) -> None:
        self.ledger.outcomes[truth, self.system.call(notice)] += 1

    def _sweep(self) -> None:
        self.system.sweep()
        now = self.clock.now()
        self.ledger.overdue += [
            verification_id
            for verification_id, row in self.store.rows.items()
            if row.due is not None and row.order is not None and row.order.expires_at <= now
        ]

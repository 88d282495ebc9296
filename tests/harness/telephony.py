"""Simulate a day of verifications, with callbacks that come late, twice or for another number.

The simulation knows the purpose of each callback, and compares it with the match that the system finds.
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
from switchboard.domain.verification.callbacks import IvrCallEvent, VerificationMode
from switchboard.domain.verification.verifications import Verification, VerificationState
from switchboard.ports.verifications import IvrCallMatch
from tests.builders import LINE, MINUTE, OTHER_LINE, a_start, an_ivr_call
from tests.fakes import FixedClock, InMemoryVerificationStore
from tests.verification_systems import assembled_for_verification

NUMBERS = ("+819000000001", "+819000000002", "+819000000003")
HOLDING_MINUTES = 1
GRACE = MINUTE
_MODES = (VerificationMode.CALL_IN, VerificationMode.SMS_AND_CALL_IN)
_SECOND = timedelta(seconds=1)


class Truth(StrEnum):
    """The purpose of a callback."""

    IN_TIME = "in_time"
    LATE = "late"
    REPEATED = "repeated"
    FOREIGN = "foreign"


RIGHT_MATCHES = {
    Truth.IN_TIME: {IvrCallMatch.MATCHED},
    Truth.LATE: {IvrCallMatch.LATE},
    Truth.REPEATED: {IvrCallMatch.DUPLICATE},
    Truth.FOREIGN: {IvrCallMatch.FOREIGN, IvrCallMatch.NO_CANDIDATE},
}
"""The matches that the system may find for each purpose."""


@dataclass(slots=True)
class Ledger:
    """The events of the day."""

    started: list[str] = field(default_factory=list)
    called_in_time: set[str] = field(default_factory=set)
    called_late: set[str] = field(default_factory=set)
    matches: Counter[tuple[Truth, IvrCallMatch]] = field(default_factory=Counter)
    overdue: list[str] = field(default_factory=list)
    refused: int = 0


class Telephony:
    """A simulated day: every minute each number requests a verification, and most of the verified numbers call."""

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
        """Play this many minutes, and then end every verification."""
        for minute in range(minutes):
            for number in NUMBERS:
                self._schedule_at(minute * MINUTE + self._random.random() * MINUTE, partial(self._begin, number))
            self._schedule_at((minute + 1) * MINUTE, self._sweep)
        while self._agenda:
            after_s, _, event = heapq.heappop(self._agenda)
            self.clock.sleep_until(self._start + timedelta(seconds=after_s))
            event()
        self.clock.advance(10 * MINUTE)
        self._sweep()
        return self.ledger

    def state_of(self, verification_id: str) -> VerificationState:
        return self.system.query.one(verification_id, client="client1").status.state

    def _schedule_at(self, after: timedelta, event: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (after.total_seconds(), next(self._order), event))

    def _schedule_in(self, delay: timedelta, event: Callable[[], None]) -> None:
        self._schedule_at(self.clock.now() - self._start + delay, event)

    def _begin(self, number: str) -> None:
        command = a_start(
            recipient=PhoneNumber(e164=number),
            mode=self._random.choice(_MODES),
            holding_minutes=HOLDING_MINUTES,
            candidates=(LINE, OTHER_LINE),
        )
        if self._random.random() < 0.01:
            self._send_foreign_callback()
        try:
            verification = self.system.start(command).order
        except VerificationOpenError:
            self.ledger.refused += 1
            return
        self.ledger.started.append(verification.id)
        self._call(verification)

    def _call(self, verification: Verification) -> None:
        dice, left = self._random.random(), verification.expires_at - self.clock.now()
        ivr_call = self._build_ivr_call(verification)
        if dice < 0.05:
            self.ledger.called_late.add(verification.id)
            self._schedule_in(
                left + self._random.random() * (GRACE - _SECOND), lambda: self._record(ivr_call, Truth.LATE)
            )
        elif dice < 0.85:
            self.ledger.called_in_time.add(verification.id)
            delay = self._random.random() * (left - _SECOND)
            self._schedule_in(delay, lambda: self._record(ivr_call, Truth.IN_TIME))
            if self._random.random() < 0.025:
                repeated = delay + self._random.random() * (GRACE - _SECOND)
                self._schedule_in(repeated, lambda: self._record(self._build_ivr_call(verification), Truth.REPEATED))

    def _build_ivr_call(self, verification: Verification) -> IvrCallEvent:
        return an_ivr_call(
            recipient=verification.recipient,
            line=verification.line,
            mode=verification.mode,
            smsid=verification.id if self._random.random() < 0.3 else None,
        )

    def _send_foreign_callback(self) -> None:
        """Send a callback for an unknown number, line or id, or for a number and line without a verification."""
        free = [
            (number, line) for number in NUMBERS for line in (LINE, OTHER_LINE) if not self._has_lease(number, line)
        ]
        callbacks = [
            an_ivr_call(recipient="+819000000009"),
            an_ivr_call(recipient=NUMBERS[0], line="05000000009"),
            an_ivr_call(recipient=NUMBERS[0], smsid="unknown"),
            an_ivr_call(recipient="0900001"),
            *(an_ivr_call(recipient=number, line=line) for number, line in free),
        ]
        self._record(self._random.choice(callbacks), Truth.FOREIGN)

    def _has_lease(self, number: str, line: str) -> bool:
        lease = self.store.leases.get((number, line))
        return lease is not None and lease.covers(self.clock.now())

    def _record(self, ivr_call: IvrCallEvent, truth: Truth) -> None:
        self.ledger.matches[truth, self.system.call(ivr_call)] += 1

    def _sweep(self) -> None:
        self.system.sweep()
        now = self.clock.now()
        self.ledger.overdue += [
            verification_id
            for verification_id, row in self.store.rows.items()
            if row.due is not None and row.order is not None and row.order.expires_at <= now
        ]

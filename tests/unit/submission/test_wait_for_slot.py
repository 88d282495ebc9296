"""A request is sent at its slot, after it was confirmed once. (I10, I12)"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from switchboard.domain.errors import ConcurrencyExhaustedError, ConcurrencyLimitError, SlotUnavailableError
from switchboard.usecases.submission.wait_for_slot import wait_for_slot
from tests.fakes import START, FixedClock, OpenGuard, ScriptedGuard

LATEST = START + timedelta(seconds=2)
STEP = timedelta(milliseconds=500)


class _StaleSlots(OpenGuard):
    """A guard whose slots are one step ahead, and of which the first `stale` ones are missed."""

    def __init__(self, clock: FixedClock, stale: int) -> None:
        super().__init__(clock)
        self.clock = clock
        self.stale = stale

    def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
        return self.clock.now() + STEP

    def is_stale(self, slot: datetime) -> bool:
        self.stale -= 1
        return self.stale >= 0


@pytest.mark.parametrize("stale", [0, 1, 2])
def test_a_missed_slot_is_replaced_and_the_request_confirmed_once(stale: int) -> None:
    clock, confirmations = FixedClock(), list[datetime]()

    def confirm() -> bool:
        confirmations.append(clock.now())
        return True

    guard = _StaleSlots(clock, stale)
    assert wait_for_slot(guard, clock, connect=lambda: None, latest=LATEST, still_wanted=confirm)
    assert confirmations == [START]
    assert clock.now() == START + (stale + 1) * STEP


def test_an_unwanted_request_is_not_waited_for() -> None:
    clock = FixedClock()
    guard = _StaleSlots(clock, 0)
    assert not wait_for_slot(guard, clock, connect=lambda: None, latest=LATEST, still_wanted=lambda: False)
    assert clock.now() == START


def test_missed_slots_end_with_the_wait_budget() -> None:
    clock = FixedClock()
    with pytest.raises(SlotUnavailableError):
        wait_for_slot(_StaleSlots(clock, 100), clock, connect=lambda: None, latest=LATEST)
    assert clock.now() == LATEST


def test_a_permit_is_looked_for_again_when_one_may_be_free() -> None:
    clock = FixedClock()
    taken = ConcurrencyLimitError("taken", look_after_s=0.03)
    guard = ScriptedGuard(clock, taken, taken)
    assert wait_for_slot(guard, clock, connect=lambda: None, latest=LATEST)
    assert clock.now() == START + timedelta(milliseconds=60)


def test_a_request_without_a_permit_soon_does_not_wait() -> None:
    clock = FixedClock()
    with pytest.raises(ConcurrencyExhaustedError):
        wait_for_slot(
            ScriptedGuard(clock, ConcurrencyExhaustedError("taken")), clock, connect=lambda: None, latest=LATEST
        )
    assert clock.now() == START

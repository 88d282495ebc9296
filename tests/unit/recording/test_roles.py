"""Corrections of roles: what changes nothing costs nothing, a day has a limit, and the item stays small. (I28)"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from switchboard.domain.errors import CorrectionLimitError, ResourceNotFoundError, StoreUnavailableError
from switchboard.domain.recording.facts import MAX_CORRECTIONS, Channel, ReadyFact, Recording, Role, RoleCorrection
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import RecordingDeadlines
from switchboard.providers.biztel.file_names import parse_file_name
from switchboard.usecases.recording.query import QueryRecordings
from tests.fakes import START, FixedClock
from tests.fakes.recordings import InMemoryJobStore, InMemoryRecordingStore

ID = "21061600000268000060"
CUSTOMER, OPERATOR = Role.CUSTOMER, Role.OPERATOR
NOON = datetime.fromisoformat("2026-11-22T12:00:00+09:00")


class _CountingStore(InMemoryRecordingStore):
    """A store that counts corrections, and lets another caller in before the first ones."""

    def __init__(self, *rivals: RoleCorrection) -> None:
        super().__init__()
        self.writes = 0
        self._rivals = list(rivals)

    def correct(self, recording: Recording, correction: RoleCorrection) -> Recording | None:
        self.writes += 1
        if self._rivals:
            super().correct(self.rows[recording.recording_id], self._rivals.pop(0))
        return super().correct(recording, correction)


class _Roles:
    def __init__(self, *rivals: RoleCorrection, at: datetime = NOON) -> None:
        self.clock = FixedClock(at)
        self.store = _CountingStore(*rivals)
        self.store.announce(ID, ReadyFact(tel="", date="", called_at=None, at=START), due=START)
        no_files: Any = None
        self.query = QueryRecordings(
            recordings=self.store,
            jobs=InMemoryJobStore(),
            files=no_files,
            transcripts=no_files,
            makes_transcripts=False,
            policy=RecordingPolicy(
                channels=frozenset({Channel.LEFT}), monaural_as_fallback=False, deadlines=RecordingDeadlines()
            ),
            clock=self.clock,
            url_lifetime=timedelta(minutes=1),
            parse_name=parse_file_name,
        )

    def correct(self, left: Role, right: Role) -> tuple[Role, Role]:
        recording = self.query.correct_roles(ID, left=left, right=right).recording
        return recording.role_of(Channel.LEFT), recording.role_of(Channel.RIGHT)


def test_a_correction_that_changes_nothing_writes_nothing() -> None:
    roles = _Roles()
    assert roles.correct(CUSTOMER, OPERATOR) == (CUSTOMER, OPERATOR)
    assert roles.store.writes == 0
    for _ in range(300):
        assert roles.correct(OPERATOR, CUSTOMER) == (OPERATOR, CUSTOMER)
    assert roles.store.writes == 1


def test_a_day_allows_a_hundred_corrections_and_the_next_day_more() -> None:
    roles = _Roles()
    swapped = [(OPERATOR, CUSTOMER), (CUSTOMER, OPERATOR)]
    for number in range(MAX_CORRECTIONS):
        roles.correct(*swapped[number % 2])
    with pytest.raises(CorrectionLimitError) as refused:
        roles.correct(OPERATOR, CUSTOMER)
    assert refused.value.retry_after_s == 12 * 3600
    assert roles.correct(CUSTOMER, OPERATOR) == (CUSTOMER, OPERATOR)

    roles.clock.advance(timedelta(seconds=refused.value.retry_after_s - 1))
    with pytest.raises(CorrectionLimitError):
        roles.correct(OPERATOR, CUSTOMER)
    roles.clock.advance(timedelta(seconds=1))
    assert roles.correct(OPERATOR, CUSTOMER) == (OPERATOR, CUSTOMER)


def test_years_of_corrections_keep_the_newest_hundred() -> None:
    roles = _Roles()
    for number in range(5 * MAX_CORRECTIONS):
        expected = (Role.OPERATOR, Role.CUSTOMER) if number % 2 else (Role.MIXED, Role.OPERATOR)
        assert roles.correct(*expected) == expected
        roles.clock.advance(timedelta(hours=1))
    assert len(roles.store.rows[ID].corrections) == MAX_CORRECTIONS


def test_the_last_correction_counts_even_if_an_earlier_ones_clock_was_ahead() -> None:
    ahead = RoleCorrection(at=NOON + timedelta(minutes=3), left=OPERATOR, right=CUSTOMER)
    roles = _Roles(ahead)
    assert roles.correct(Role.MIXED, CUSTOMER) == (Role.MIXED, CUSTOMER)
    assert len(roles.store.rows[ID].corrections) == 2


def test_the_same_correction_of_two_callers_is_written_once() -> None:
    roles = _Roles(RoleCorrection(at=NOON, left=OPERATOR, right=CUSTOMER))
    assert roles.correct(OPERATOR, CUSTOMER) == (OPERATOR, CUSTOMER)
    assert len(roles.store.rows[ID].corrections) == 1


def test_callers_that_go_on_correcting_make_the_request_fail() -> None:
    rivals = [
        RoleCorrection(at=NOON + timedelta(seconds=second), left=OPERATOR, right=(CUSTOMER, OPERATOR)[second % 2])
        for second in range(9)
    ]
    with pytest.raises(StoreUnavailableError):
        _Roles(*rivals).correct(Role.MIXED, CUSTOMER)


def test_an_unknown_recording_is_not_corrected() -> None:
    roles = _Roles()
    for recording_id in ("unknown", "../x"):
        with pytest.raises(ResourceNotFoundError):
            roles.query.correct_roles(recording_id, left=OPERATOR, right=CUSTOMER)
    assert roles.store.writes == 0

"""What every RecordingStore does: facts are added once, in any order, and one worker at a time has a channel."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.recording.facts import (
    MAX_CORRECTIONS,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ReadyFact,
    Recording,
    Role,
    RoleCorrection,
    StoredFile,
)
from switchboard.ports.listing import ListingQuery
from switchboard.ports.recordings import RecordingStore
from switchboard.storage.recording.store import DynamoDbRecordingStore
from tests.contract.conftest import IMPLEMENTATIONS, RETENTION, Aws
from tests.fakes import START, InMemoryRecordingStore

ID = "1563433858.66"
MINUTE = timedelta(minutes=1)
DUE = START + 16 * MINUTE
SAID = ReadyFact(tel="09000000001", date="2019-07-18 16:10:58", called_at=START - MINUTE, at=START)
FILE = StoredFile(key="k", bytes=9, sha256="0" * 64, content_type="audio/mpeg", file_name="録音.mp3", seconds=5.976)


@pytest.fixture
def dynamodb_recordings(aws: Aws, state_table_name: str) -> DynamoDbRecordingStore:
    return DynamoDbRecordingStore(client=aws.dynamodb, table=state_table_name, retention=RETENTION)


@pytest.fixture(params=IMPLEMENTATIONS)
def recordings(request: pytest.FixtureRequest) -> RecordingStore:
    if request.param == "in memory":
        return InMemoryRecordingStore()
    store: RecordingStore = request.getfixturevalue("dynamodb_recordings")
    return store


def attempt(id_: str = "first", channel: Channel = Channel.LEFT) -> FetchAttempt:
    return FetchAttempt(id=id_, channel=channel, at=START)


def outcome(id_: str = "first", end: FetchEnd = FetchEnd.FAILED, channel: Channel = Channel.LEFT) -> FetchOutcome:
    file = FILE if end is FetchEnd.STORED else None
    return FetchOutcome(id=id_, channel=channel, at=START + MINUTE, end=end, file=file, provider_code="X")


def begun(recordings: RecordingStore, recording: Recording, wanted: FetchAttempt) -> Recording:
    after = recordings.begin(recording, wanted, due=DUE)
    assert after is not None
    return after


def test_what_was_never_announced_is_not_there(recordings: RecordingStore) -> None:
    assert recordings.get(ID) is None
    assert recordings.correct(ID, RoleCorrection(at=START, left=Role.OPERATOR, right=Role.CUSTOMER)) is None
    assert recordings.get(ID) is None


def test_facts_come_back_as_they_were_added(recordings: RecordingStore) -> None:
    correction = RoleCorrection(at=START, left=Role.OPERATOR, right=Role.CUSTOMER)
    recording = recordings.announce(ID, SAID, due=DUE)
    begun(recordings, recording, attempt())
    recordings.record_outcome(ID, outcome(end=FetchEnd.STORED))
    recordings.correct(ID, correction)

    assert recordings.get(ID) == Recording(
        recording_id=ID,
        ready_facts=frozenset({SAID}),
        attempts=frozenset({attempt()}),
        outcomes=frozenset({outcome(end=FetchEnd.STORED)}),
        corrections=frozenset({correction}),
    )


def test_the_same_announcement_again_is_the_first_and_another_is_added(recordings: RecordingStore) -> None:
    recordings.announce(ID, SAID, due=DUE)
    again = ReadyFact(tel=SAID.tel, date=SAID.date, called_at=SAID.called_at, at=START + MINUTE)
    by_file = ReadyFact(tel="", date="", called_at=None, at=START + MINUTE, by_file=True)

    recordings.announce(ID, again, due=DUE)
    assert recordings.announce(ID, by_file, due=DUE).ready_facts == {SAID, by_file}


def test_one_of_two_who_saw_the_same_gets_the_channel(recordings: RecordingStore) -> None:
    seen = recordings.announce(ID, SAID, due=DUE)

    begun(recordings, seen, attempt("first"))

    assert recordings.begin(seen, attempt("second"), due=DUE) is None
    begun(recordings, seen, attempt("third", Channel.RIGHT))


def test_an_attempt_whose_answer_was_lost_is_granted_when_it_is_made_again(recordings: RecordingStore) -> None:
    seen = recordings.announce(ID, SAID, due=DUE)

    first = begun(recordings, seen, attempt())

    assert begun(recordings, seen, attempt()) == first


def test_nothing_begins_on_a_channel_that_is_stored(recordings: RecordingStore) -> None:
    seen = begun(recordings, recordings.announce(ID, SAID, due=DUE), attempt())
    after = recordings.record_outcome(ID, outcome(end=FetchEnd.STORED))

    assert recordings.begin(seen, attempt("second"), due=DUE) is None
    assert recordings.begin(after, attempt("second"), due=DUE) is None


def test_the_first_outcome_of_an_attempt_stays(recordings: RecordingStore) -> None:
    begun(recordings, recordings.announce(ID, SAID, due=DUE), attempt())
    recordings.record_outcome(ID, outcome(end=FetchEnd.FAILED))

    assert recordings.record_outcome(ID, outcome(end=FetchEnd.NOT_FOUND)).outcomes == {outcome(end=FetchEnd.FAILED)}


@pytest.mark.parametrize("times", [1, 2])
def test_an_attempt_that_asked_for_nothing_can_be_withdrawn(recordings: RecordingStore, times: int) -> None:
    seen = recordings.announce(ID, SAID, due=DUE)
    begun(recordings, seen, attempt())
    for _ in range(times):
        recordings.withdraw(ID, attempt())

    after = recordings.get(ID)
    assert after is not None
    assert after.attempts == frozenset()
    begun(recordings, after, attempt("second"))


def test_an_attempt_with_an_outcome_stays(recordings: RecordingStore) -> None:
    begun(recordings, recordings.announce(ID, SAID, due=DUE), attempt())
    recordings.record_outcome(ID, outcome())
    recordings.withdraw(ID, attempt())

    after = recordings.get(ID)
    assert after is not None
    assert after.attempts == {attempt()}


def test_what_is_due_is_found_until_nothing_is_awaited(recordings: RecordingStore) -> None:
    recording = recordings.announce(ID, SAID, due=DUE)
    other = recordings.announce("other", SAID, due=DUE - MINUTE)

    assert list(recordings.overdue(now=DUE - 2 * MINUTE, limit=9)) == []
    assert list(recordings.overdue(now=DUE, limit=9)) == [other, recording]
    assert list(recordings.overdue(now=DUE, limit=1)) == [other]
    recordings.schedule(other, due=DUE + MINUTE, at=START)
    recordings.schedule(recording, due=None, at=START)
    assert list(recordings.overdue(now=DUE, limit=9)) == []
    closed = recordings.get(ID)
    assert closed is not None
    assert closed.closed_at == START


def test_who_has_not_seen_the_last_attempt_schedules_nothing(recordings: RecordingStore) -> None:
    seen = recordings.announce(ID, SAID, due=DUE)
    begun(recordings, seen, attempt())

    recordings.schedule(seen, due=None, at=START)

    after = recordings.get(ID)
    assert after is not None
    assert after.closed_at is None
    assert list(recordings.overdue(now=DUE, limit=9)) == [after]


def test_lists_are_by_the_time_of_the_call_newest_first(recordings: RecordingStore) -> None:
    def add(id_: str, *, tel: str, minutes: int) -> None:
        said = ReadyFact(tel=tel, date="", called_at=START + minutes * MINUTE, at=START)
        recordings.announce(id_, said, due=DUE)

    add("a.1", tel="09000000001", minutes=1)
    add("b.2", tel="anonymous", minutes=3)
    add("c.3", tel="+819000000001", minutes=2)

    def ids(query: ListingQuery) -> list[str]:
        return [recording.recording_id for recording in recordings.find(query).items]

    assert ids(ListingQuery(limit=9)) == ["b.2", "c.3", "a.1"]
    assert ids(ListingQuery(limit=9, recipient="090-0000-0001")) == ["c.3", "a.1"]
    assert ids(ListingQuery(limit=9, recipient="anonymous")) == ["b.2"]
    assert ids(ListingQuery(limit=9, since=START + 2 * MINUTE, until=START + 3 * MINUTE)) == ["c.3"]
    page = recordings.find(ListingQuery(limit=2))
    assert ids(ListingQuery(limit=9, position=page.next_position)) == ["a.1"]
    for position in ("none", "2026-11-22T03:04:05.678Z#../x", "2026-11-22T03:04:05Z#a"):
        with pytest.raises(InvalidRequestError):
            ids(ListingQuery(limit=9, position=position))


def test_corrections_leave_room_for_what_the_worker_writes(recordings: RecordingStore) -> None:
    """Any API key may correct any recording, and an item has an end."""
    recordings.announce(ID, SAID, due=DUE)
    for number in range(MAX_CORRECTIONS):
        at = START + number * MINUTE
        corrected = recordings.correct(ID, RoleCorrection(at=at, left=Role.OPERATOR, right=Role.CUSTOMER))
    with pytest.raises(InvalidRequestError):
        recordings.correct(ID, RoleCorrection(at=START - MINUTE, left=Role.OPERATOR, right=Role.CUSTOMER))
    assert recordings.get(ID) == corrected

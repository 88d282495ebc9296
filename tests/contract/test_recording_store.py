"""Test what every RecordingStore does: facts are added once, and only one worker at a time gets a channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.recording.facts import (
    MAX_CORRECTIONS,
    MAX_NOTICES,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ParkingReason,
    QuarantinedFile,
    ReadyFact,
    Recording,
    Role,
    RoleCorrection,
    StoredFile,
)
from switchboard.ports.listing import ListingQuery, UnreadableItem
from switchboard.ports.recordings import RecordingStore
from switchboard.storage.recording.store import DynamoDbRecordingStore
from tests.contract.conftest import IMPLEMENTATIONS, RETENTION, Aws, choose
from tests.fakes import START, InMemoryRecordingStore
from tests.ids import describe_row

ID = "1563433858.66"
MINUTE = timedelta(minutes=1)
DUE = START + 16 * MINUTE
READY = ReadyFact(tel="09000000001", date="2019-07-18 16:10:58", called_at=START - MINUTE, at=START)
FILE = StoredFile(key="k", bytes=9, sha256="0" * 64, content_type="audio/mpeg", file_name="録音.mp3", seconds=5.976)


@pytest.fixture
def dynamodb_recordings(aws: Aws, state_table_name: str) -> DynamoDbRecordingStore:
    return DynamoDbRecordingStore(client=aws.dynamodb, table=state_table_name, retention=RETENTION)


@pytest.fixture(params=IMPLEMENTATIONS)
def recordings(request: pytest.FixtureRequest) -> RecordingStore:
    return choose(request, InMemoryRecordingStore, "dynamodb_recordings")


def an_attempt(id_: str = "first", channel: Channel = Channel.LEFT) -> FetchAttempt:
    return FetchAttempt(id=id_, channel=channel, at=START)


def an_outcome(id_: str = "first", end: FetchEnd = FetchEnd.FAILED, channel: Channel = Channel.LEFT) -> FetchOutcome:
    file = FILE if end is FetchEnd.STORED else None
    return FetchOutcome(id=id_, channel=channel, at=START + MINUTE, end=end, file=file, provider_code="X")


def begin(recordings: RecordingStore, recording: Recording, attempt: FetchAttempt) -> Recording:
    """Begin an attempt that must be granted."""
    begun = recordings.begin(recording, attempt, due=DUE)
    assert begun is not None
    return begun


def read(recordings: RecordingStore) -> Recording:
    """Return the recording, which must exist."""
    recording = recordings.get(ID)
    assert recording is not None
    return recording


def test_an_unknown_id_has_no_recording(recordings: RecordingStore) -> None:
    assert recordings.get(ID) is None
    unknown = Recording(recording_id=ID, ready_facts=frozenset({READY}))
    assert recordings.correct(unknown, RoleCorrection(at=START, left=Role.OPERATOR, right=Role.CUSTOMER)) is None
    assert recordings.get(ID) is None


def test_facts_come_back_unchanged(recordings: RecordingStore) -> None:
    correction = RoleCorrection(at=START, left=Role.OPERATOR, right=Role.CUSTOMER)
    recording = recordings.announce(ID, READY, due=DUE)
    begin(recordings, recording, an_attempt())
    recordings.record_outcome(ID, an_outcome(end=FetchEnd.STORED))
    recordings.correct(read(recordings), correction)

    assert recordings.get(ID) == Recording(
        recording_id=ID,
        ready_facts=frozenset({READY}),
        attempts=frozenset({an_attempt()}),
        outcomes=frozenset({an_outcome(end=FetchEnd.STORED)}),
        corrections=frozenset({correction}),
    )


def test_a_repeated_ready_fact_adds_nothing_and_another_one_is_added(recordings: RecordingStore) -> None:
    recordings.announce(ID, READY, due=DUE)
    repeated = ReadyFact(tel=READY.tel, date=READY.date, called_at=READY.called_at, at=START + MINUTE)
    by_file = ReadyFact(tel="", date="", called_at=None, at=START + MINUTE, by_file=True)

    recordings.announce(ID, repeated, due=DUE)
    assert recordings.announce(ID, by_file, due=DUE).ready_facts == {READY, by_file}


def test_a_recording_filled_to_the_brim_takes_its_true_facts(recordings: RecordingStore) -> None:
    """No sender of reports or files can make the item refuse a report, a file or an attempt (I28)."""
    forged = [ReadyFact(tel=f"{n:0128}", date="x" * 64, called_at=START, at=START, by_file=False) for n in range(50)]
    dropped = [ReadyFact(tel=f"{n:0255}", date="", called_at=START, at=START, by_file=True) for n in range(50)]
    for by_file in dropped:
        recordings.announce(ID, by_file, due=DUE)
    # A report always fits beside files, and a file's fact beside reports.
    assert recordings.announce(ID, READY, due=DUE).notices == (READY,)
    for report in forged:
        recordings.announce(ID, report, due=DUE)
    assert len(read(recordings).ready_facts) == 2 * MAX_NOTICES
    assert READY in recordings.announce(ID, READY, due=DUE).ready_facts
    for number in range(30):
        begin(recordings, read(recordings), an_attempt(f"{number:032}"))
        recordings.record_outcome(ID, an_outcome(f"{number:032}"))

    begin(recordings, read(recordings), an_attempt("last"))
    assert (
        an_outcome("last", FetchEnd.STORED)
        in recordings.record_outcome(ID, an_outcome("last", FetchEnd.STORED)).outcomes
    )
    correction = RoleCorrection(at=START, left=Role.OPERATOR, right=Role.CUSTOMER)
    assert recordings.correct(read(recordings), correction) is not None


def name_of(entry: Recording | UnreadableItem) -> str:
    assert isinstance(entry, Recording)
    return entry.recording_id


@pytest.mark.parametrize("reason", ParkingReason)
def test_a_parked_recording_is_found_by_its_announcement_only(
    recordings: RecordingStore, reason: ParkingReason
) -> None:
    recording = recordings.announce(ID, READY, due=DUE, parked=reason)
    later = replace(READY, at=START + MINUTE)
    recordings.announce("b2", later, due=DUE, parked=reason)

    assert (recording.parked, recording.parked_at) == (reason, START)
    assert list(recordings.overdue(now=DUE + MINUTE, limit=9)) == []
    found = [list(recordings.parked(reason, until=DUE, limit=9, newest_first=newest)) for newest in (False, True)]
    assert [[name_of(item) for item in items] for items in found] == [[ID, "b2"], ["b2", ID]]
    assert [name_of(item) for item in recordings.parked(reason, until=START, limit=9)] == [ID]


def test_a_recording_leaves_parking_by_its_schedule_or_an_attempt(recordings: RecordingStore) -> None:
    for recording_id in (ID, "b2"):
        recordings.announce(recording_id, READY, due=DUE, parked=ParkingReason.DATED_NEAR)
    recordings.schedule(read(recordings), due=DUE, at=START)
    other = recordings.get("b2")
    assert other is not None
    begin(recordings, other, an_attempt())

    assert list(recordings.parked(ParkingReason.DATED_NEAR, until=DUE, limit=9)) == []
    assert {name_of(item) for item in recordings.overdue(now=DUE, limit=9)} == {ID, "b2"}
    assert read(recordings).parked is None
    assert read(recordings).parked_at == START


def test_a_recording_is_parked_unless_an_attempt_began_meanwhile(recordings: RecordingStore) -> None:
    before = recordings.announce(ID, READY, due=DUE)
    after = begin(recordings, before, an_attempt())

    recordings.park(before, reason=ParkingReason.NOT_FOUND, at=START + MINUTE)
    assert read(recordings).parked is None
    recordings.park(after, reason=ParkingReason.NOT_FOUND, at=START + MINUTE)
    assert (read(recordings).parked, read(recordings).parked_at) == (ParkingReason.NOT_FOUND, START + MINUTE)


def test_one_of_two_workers_that_saw_the_same_gets_the_channel(recordings: RecordingStore) -> None:
    recording = recordings.announce(ID, READY, due=DUE)

    begin(recordings, recording, an_attempt("first"))

    assert recordings.begin(recording, an_attempt("second"), due=DUE) is None
    begin(recordings, recording, an_attempt("third", Channel.RIGHT))


def test_an_attempt_repeated_after_a_lost_answer_is_granted(recordings: RecordingStore) -> None:
    recording = recordings.announce(ID, READY, due=DUE)

    first = begin(recordings, recording, an_attempt())

    assert begin(recordings, recording, an_attempt()) == first


def test_an_attempt_repeated_after_another_began_is_not_counted_again(recordings: RecordingStore) -> None:
    recording = recordings.announce(ID, READY, due=DUE)
    begin(recordings, begin(recordings, recording, an_attempt()), an_attempt("second"))

    begin(recordings, recording, an_attempt())

    begin(recordings, read(recordings), an_attempt("third"))


def test_no_attempt_begins_at_a_stored_channel(recordings: RecordingStore) -> None:
    earlier = begin(recordings, recordings.announce(ID, READY, due=DUE), an_attempt())
    stored = recordings.record_outcome(ID, an_outcome(end=FetchEnd.STORED))

    assert recordings.begin(earlier, an_attempt("second"), due=DUE) is None
    assert recordings.begin(stored, an_attempt("second"), due=DUE) is None


@pytest.mark.parametrize(
    ("end", "is_cut"), [(FetchEnd.QUARANTINED, False), (FetchEnd.FAILED, True)], ids=["whole", "cut"]
)
def test_what_was_quarantined_is_recorded(recordings: RecordingStore, end: FetchEnd, is_cut: bool) -> None:
    begin(recordings, recordings.announce(ID, READY, due=DUE), an_attempt())
    file = QuarantinedFile(key="q", bytes=9, sha256="1" * 64, is_text=False, is_cut=is_cut)
    outcome = FetchOutcome(id="first", channel=Channel.LEFT, at=START + MINUTE, end=end, unrecognised=file)

    recordings.record_outcome(ID, outcome)

    stored = recordings.get(ID)
    assert stored is not None
    assert stored.outcomes == {outcome}


def test_the_first_outcome_of_an_attempt_stays(recordings: RecordingStore) -> None:
    begin(recordings, recordings.announce(ID, READY, due=DUE), an_attempt())
    recordings.record_outcome(ID, an_outcome(end=FetchEnd.FAILED))

    assert recordings.record_outcome(ID, an_outcome(end=FetchEnd.NOT_FOUND)).outcomes == {
        an_outcome(end=FetchEnd.FAILED)
    }


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_a_withdrawn_attempt_leaves_the_channel_to_another(recordings: RecordingStore, times: int) -> None:
    begin(recordings, recordings.announce(ID, READY, due=DUE), an_attempt())
    for _ in range(times):
        recordings.withdraw(ID, an_attempt())

    recording = read(recordings)
    assert recording.attempts == frozenset()
    begin(recordings, recording, an_attempt("second"))


def test_an_attempt_with_an_outcome_cannot_be_withdrawn(recordings: RecordingStore) -> None:
    begin(recordings, recordings.announce(ID, READY, due=DUE), an_attempt())
    recordings.record_outcome(ID, an_outcome())
    recordings.withdraw(ID, an_attempt())

    assert read(recordings).attempts == {an_attempt()}


def test_a_due_recording_is_overdue_until_it_is_rescheduled_or_closed(recordings: RecordingStore) -> None:
    recording = recordings.announce(ID, READY, due=DUE)
    other = recordings.announce("other", READY, due=DUE - MINUTE)

    assert list(recordings.overdue(now=DUE - 2 * MINUTE, limit=9)) == []
    assert list(recordings.overdue(now=DUE, limit=9)) == [other, recording]
    assert list(recordings.overdue(now=DUE, limit=1)) == [other, recording]
    recordings.schedule(other, due=DUE + MINUTE, at=START)
    recordings.schedule(recording, due=None, at=START)
    assert list(recordings.overdue(now=DUE, limit=9)) == []
    assert read(recordings).closed_at == START


def test_a_worker_that_missed_the_last_attempt_schedules_nothing(recordings: RecordingStore) -> None:
    earlier = recordings.announce(ID, READY, due=DUE)
    begin(recordings, earlier, an_attempt())

    recordings.schedule(earlier, due=None, at=START)

    recording = read(recordings)
    assert recording.closed_at is None
    assert list(recordings.overdue(now=DUE, limit=9)) == [recording]


def test_a_list_is_by_the_time_of_the_call_newest_first(recordings: RecordingStore) -> None:
    def add(id_: str, *, tel: str, minutes: int) -> None:
        ready_fact = ReadyFact(tel=tel, date="", called_at=START + minutes * MINUTE, at=START)
        recordings.announce(id_, ready_fact, due=DUE)

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


def test_a_correction_is_added_only_to_what_the_caller_has_read(recordings: RecordingStore) -> None:
    seen = recordings.announce(ID, READY, due=DUE)
    first = RoleCorrection(at=START, left=Role.OPERATOR, right=Role.CUSTOMER)
    corrected = recordings.correct(seen, first)
    assert corrected is not None
    assert corrected.corrections == {first}
    assert recordings.correct(seen, RoleCorrection(at=START + MINUTE, left=Role.MIXED, right=Role.CUSTOMER)) is None
    assert recordings.correct(corrected, RoleCorrection(at=START + MINUTE, left=Role.MIXED, right=Role.CUSTOMER))


def test_only_the_newest_corrections_are_kept(recordings: RecordingStore) -> None:
    recording = recordings.announce(ID, READY, due=DUE)
    for number in range(MAX_CORRECTIONS + 7):
        left = (Role.OPERATOR, Role.CUSTOMER)[number % 2]
        correction = RoleCorrection(at=START + number * MINUTE, left=left, right=Role.CUSTOMER)
        recording = recordings.correct(recording, correction) or recording
        assert recording.newest_corrections[0] == correction
    stored = read(recordings)
    assert len(stored.corrections) == MAX_CORRECTIONS
    assert min(kept.at for kept in stored.corrections) == START + 7 * MINUTE
    assert stored == recording


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("id", {"N": "5"}),
        ("id", {"S": "1563433858.67"}),
        ("ready_fact|x", {"M": {"tel": {"N": "5"}, "date": {"S": ""}, "at": {"S": "2026-11-22T03:04:05Z"}}}),
        ("ready_fact|x", {"M": {"tel": {"S": ""}, "date": {"S": ""}, "at": {"S": "2026-11-22T03:04:05"}}}),
        ("attempt|x", {"S": "later"}),
        ("outcome|x", {"M": {"channel": {"S": "later"}}}),
        ("correction|x", {"NULL": True}),
        ("parked", {"S": "of a later version"}),
    ],
    ids=describe_row,
)
def test_a_value_of_a_wrong_type_makes_its_recording_alone_unreadable(
    aws: Aws,
    dynamodb_recordings: DynamoDbRecordingStore,
    state_table_name: str,
    attribute: str,
    value: dict[str, object],
) -> None:
    dynamodb_recordings.announce("1563433858.1", READY, due=DUE)
    dynamodb_recordings.announce(ID, READY, due=DUE)
    aws.dynamodb.update_item(
        TableName=state_table_name,
        Key={"pk": {"S": f"RECORDING#{ID}"}},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": attribute},
        ExpressionAttributeValues={":value": value},
    )
    page = dynamodb_recordings.find(ListingQuery(limit=9))
    assert ([recording.recording_id for recording in page.items], page.unreadable) == (["1563433858.1"], 1)
    overdue = list(dynamodb_recordings.overdue(now=DUE, limit=9))
    assert UnreadableItem(f"RECORDING#{ID}") in overdue
    assert len(overdue) == 2

"""Test what every TranscriptionStore does: an attempt is added once, and an outdated look schedules nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from switchboard.domain.recording.facts import Channel, FetchEnd, FetchOutcome, ReadyFact, Recording, StoredFile
from switchboard.domain.recording.transcript_facts import (
    FailureReason,
    Source,
    StoredTranscript,
    TranscriptionAttempt,
    TranscriptionEnd,
    TranscriptionOutcome,
)
from switchboard.ports.recordings import RecordingStore
from switchboard.ports.transcripts import TranscriptionStore
from switchboard.storage.recording.store import DynamoDbRecordingStore
from switchboard.storage.recording.transcriptions import DynamoDbTranscriptionStore
from tests.contract.conftest import IMPLEMENTATIONS, RETENTION, Aws
from tests.fakes import START, InMemoryRecordingStore
from tests.fakes.transcripts import InMemoryTranscriptionStore

ID = "1563433858.66"
MINUTE = timedelta(minutes=1)
DUE = START + 15 * MINUTE
JOB = f"stack.{ID}.left.0123456789abcdef.1"
ATTEMPT = TranscriptionAttempt(
    job=JOB,
    source=Source.LEFT,
    inputs=("0" * 64,),
    language="ja-JP",
    recognizer="transcribe",
    generation=1,
    billed_seconds=15,
    at=START,
)
STORED = StoredTranscript(
    job=JOB, key="transcripts/k.json", sha256="1" * 64, words=3, removed=(("telephone", 1),), rules="1", at=START
)


@dataclass(frozen=True)
class Stores:
    """The store of transcripts' facts beside that of their recordings."""

    recordings: RecordingStore
    transcriptions: TranscriptionStore

    def close(self) -> Recording:
        """Store one file, close the recording, and return it."""
        fact = ReadyFact(tel="", date="", called_at=START, at=START, by_file=True)
        self.recordings.announce(ID, fact, due=START)
        file = StoredFile(key="k.mp3", bytes=9, sha256="0" * 64, content_type="audio/mpeg", file_name="k.mp3")
        outcome = FetchOutcome(id="a", channel=Channel.LEFT, at=START, end=FetchEnd.STORED, file=file)
        recording = self.recordings.record_outcome(ID, outcome)
        self.recordings.schedule(recording, due=None, at=START, transcribe_due=DUE)
        return self.read()

    def read(self) -> Recording:
        recording = self.transcriptions.get(ID)
        assert recording is not None
        return recording


@pytest.fixture(params=IMPLEMENTATIONS)
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == IMPLEMENTATIONS[0]:
        memory = InMemoryRecordingStore()
        return Stores(memory, InMemoryTranscriptionStore(memory))
    aws: Aws = request.getfixturevalue("aws")
    table: str = request.getfixturevalue("state_table_name")
    return Stores(
        DynamoDbRecordingStore(client=aws.dynamodb, table=table, retention=RETENTION),
        DynamoDbTranscriptionStore(client=aws.dynamodb, table=table),
    )


def test_closing_a_recording_makes_its_transcript_due(stores: Stores) -> None:
    recording = stores.close()

    assert (recording.closed_at, recording.transcription_due) == (START, DUE)
    assert list(stores.transcriptions.overdue(now=DUE, limit=5)) == [recording]
    assert list(stores.transcriptions.overdue(now=DUE - MINUTE, limit=5)) == []
    assert list(stores.recordings.overdue(now=DUE, limit=5)) == []


def test_an_attempt_is_added_once_and_read_back(stores: Stores) -> None:
    recording = stores.close()

    begun = stores.transcriptions.begin(recording, ATTEMPT, due=DUE + MINUTE)
    repeated = stores.transcriptions.begin(recording, ATTEMPT, due=DUE + MINUTE)

    assert begun == repeated == stores.read()
    assert begun is not None
    assert (begun.transcription_attempts, begun.transcription_due) == (frozenset({ATTEMPT}), DUE + MINUTE)


def test_of_two_attempts_from_one_reading_the_second_is_refused(stores: Stores) -> None:
    recording = stores.close()
    stores.transcriptions.begin(recording, ATTEMPT, due=DUE)

    assert stores.transcriptions.begin(recording, replace(ATTEMPT, job=f"{JOB}2"), due=DUE) is None


def test_outcomes_and_the_transcript_are_kept_and_the_first_stays(stores: Stores) -> None:
    stores.close()
    started = TranscriptionOutcome(job=JOB, end=TranscriptionEnd.STARTED, at=START)
    failed = TranscriptionOutcome(
        job=JOB, end=TranscriptionEnd.FAILED, at=START, reason=FailureReason.INTERNAL, words="Internal Failure."
    )
    completed = TranscriptionOutcome(job=JOB, end=TranscriptionEnd.COMPLETED, at=START)

    stores.transcriptions.record(ID, started)
    stores.transcriptions.record(ID, replace(started, at=START + MINUTE))
    stores.transcriptions.record(ID, failed)
    stores.transcriptions.record(ID, completed, transcript=STORED)
    recording = stores.transcriptions.record(ID, completed, transcript=replace(STORED, words=4))

    assert recording.transcription_outcomes == frozenset({started, failed, completed})
    assert recording.transcripts == frozenset({STORED})
    assert stores.read() == recording


def test_a_look_that_was_overtaken_schedules_nothing(stores: Stores) -> None:
    outdated = stores.close()
    stores.recordings.schedule(outdated, due=None, at=START, transcribe_due=DUE + MINUTE)

    stores.transcriptions.schedule(outdated, due=None)

    assert stores.read().transcription_due == DUE + MINUTE


def test_the_reason_of_waiting_is_shown_until_the_next_look(stores: Stores) -> None:
    stores.transcriptions.schedule(stores.close(), due=DUE + MINUTE, waits_for="month")
    waiting = stores.read()
    stores.transcriptions.schedule(waiting, due=None)
    done = stores.read()

    assert (waiting.transcription_due, waiting.transcription_waits_for) == (DUE + MINUTE, "month")
    assert (done.transcription_due, done.transcription_waits_for) == (None, None)

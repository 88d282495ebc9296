"""There is one job for one source, audio and generation, and a transcript is final by its deadline (I33)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest

from switchboard.domain.errors import RefusedError
from switchboard.domain.recording.facts import Channel, Recording, Role, StoredFile
from switchboard.domain.recording.transcript_facts import FailureReason, TranscriptionAttempt, TranscriptionEnd
from switchboard.domain.recording.transcripts import SourceStatus
from switchboard.domain.recording.words import ChannelWords
from switchboard.ports.transcripts import Media
from switchboard.usecases.recording.prepare_transcript import PreparedTranscript, PrepareTranscript
from switchboard.usecases.recording.start_transcription import StartTranscription
from tests.depth import at_depth
from tests.fakes.transcripts import ScriptedRecognizer, ServiceJob
from tests.harness.explorer import ViolationError, explore_worlds
from tests.harness.schedules import random_schedules
from tests.harness.transcripts import TranscriptParts, check, world_of

HISTORIES: Final = at_depth(usual=200, proof=5_000)
"""The histories of each of ten scenarios."""
INTERNAL: Final = FailureReason.INTERNAL
SCRIPTS: Final = {
    "no failure": (),
    "one failure": (INTERNAL,),
    "two failures": (INTERNAL, FailureReason.LOST),
    "three failures": (INTERNAL, INTERNAL, INTERNAL),
    "one unreadable result": (None,),
}


@pytest.mark.parametrize("late_channel", [False, True], ids=["left alone", "right comes late"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_no_random_history_breaks_the_promise(script: tuple[FailureReason | None, ...], late_channel: bool) -> None:
    explore_worlds(
        lambda: world_of(TranscriptParts(), script=script, late_channel=late_channel),
        random_schedules(seed=33, count=HISTORIES),
        faults=3,
        check=check,
    )


class ConflictIsFailure(ScriptedRecognizer):
    """A recogniser client that takes a taken name for a refusal."""

    def _compare(self, existing: ServiceJob, media: Media) -> TranscriptionEnd:
        raise RefusedError("The requested job name already exists", provider="scripted", operation="start")


class DeletesFirst(ScriptedRecognizer):
    """A recogniser client that deletes a job to use its name again."""

    def start(self, attempt: TranscriptionAttempt, media: Media) -> TranscriptionEnd:
        self.jobs.pop(attempt.job, None)
        return super().start(attempt, media)


class GenerationFromTheClock(StartTranscription):
    """A start that names each try of a job by its time."""

    def _start(self, recording: Recording, source: SourceStatus, steps: object) -> Recording:

        now = self._clock.now()
        source = replace(source, attempt=None, generation=int(now.timestamp() * 1000))
        return super()._start(recording, source, steps)  # type: ignore[arg-type]


class StoresRoles(PrepareTranscript):
    """A preparation that stores the customer's words as left."""

    corrected = False

    def __call__(
        self, source: SourceStatus, words: ChannelWords, *, files: Mapping[Channel, StoredFile]
    ) -> PreparedTranscript:
        roles = {Channel.LEFT: Role.OPERATOR, Channel.RIGHT: Role.CUSTOMER}
        by_role = {role: words[channel] for channel, role in roles.items() if channel in words}
        stored = {
            channel: by_role[role]
            for channel, role in ((Channel.LEFT, Role.CUSTOMER), (Channel.RIGHT, Role.OPERATOR))
            if role in by_role
        }
        return super().__call__(source, stored, files=files)


@pytest.mark.parametrize(
    "parts",
    [
        TranscriptParts(recognizer=ConflictIsFailure),
        TranscriptParts(recognizer=DeletesFirst),
        TranscriptParts(start=GenerationFromTheClock),
        TranscriptParts(trusts_events=True),
        TranscriptParts(prepare=StoresRoles),
    ],
    ids=["conflict is failure", "delete first", "generation from the clock", "event trusted", "roles stored"],
)
def test_every_mutant_breaks_the_promise(parts: TranscriptParts) -> None:
    with pytest.raises(ViolationError, match="I33"):
        explore_worlds(
            lambda: world_of(parts, late_channel=True),
            random_schedules(seed=33, count=2_000),
            faults=3,
            check=check,
        )

"""Show recordings with their status and with links to their files, and correct who is heard on which channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from switchboard.domain.errors import (
    ResourceNotFoundError,
    StoreUnavailableError,
    TranscriptNotFoundError,
    TranscriptNotReadyError,
    UnreadableFileNameError,
    UnreadableItemError,
    UnreadableJobError,
)
from switchboard.domain.recording.facts import (
    Channel,
    ReadyFact,
    Recording,
    RecordingFileName,
    Role,
    Side,
    StoredFile,
    is_recording_id,
)
from switchboard.domain.recording.figures import Figures, measure_figures
from switchboard.domain.recording.other_party import tel_and_time
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import RecordingStatus
from switchboard.domain.recording.transcript_document import TranscriptDocument, decode_document, merge_documents
from switchboard.domain.recording.transcripts import TranscriptState, TranscriptStatus, status_of_transcript
from switchboard.domain.recording.turns import Turn, build_turns
from switchboard.ports.clock import Clock
from switchboard.ports.listing import Page
from switchboard.ports.recordings import JobStore, RecordingFiles, RecordingStore
from switchboard.ports.transcripts import TranscriptFiles
from switchboard.usecases.query import ListFilter, fill_page

# Each try that fails means that another caller corrected the same recording in the same moment.
_MAX_TRIES: Final = 5
_RETRY_AFTER_S: Final = {TranscriptState.WAITING: 300, TranscriptState.RECOGNIZING: 30}
"""The pause after which a caller may ask again for a transcript that is awaited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """A recording with its status at the moment of the query.

    `tel` and `called_at` are those of the call, however many reports differ.
    `urls` are the links to the stored files, all of which expire at `urls_expire_at`. `sides` are the sides that the
    files' names give, for the files whose names follow the naming rule. A view without links has no `urls_expire_at`.
    """

    recording: Recording
    status: RecordingStatus
    tel: str
    called_at: datetime | None
    sides: Mapping[Channel, Side]
    transcript: TranscriptStatus
    urls: Mapping[Channel, str] = field(default_factory=dict)
    urls_expire_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptView:
    """A transcript with the roles of the moment: `document` has the words, and `turns` are the conversation."""

    recording_id: str
    status: TranscriptStatus
    document: TranscriptDocument
    turns: tuple[Turn, ...]
    figures: Figures


RecordingFilter: TypeAlias = ListFilter
RecordingList: TypeAlias = Page[RecordingView]


class QueryRecordings:
    """The queries for recordings. Recordings belong to no client: every API key with the scope sees them all."""

    def __init__(
        self,
        *,
        recordings: RecordingStore,
        jobs: JobStore,
        files: RecordingFiles,
        transcripts: TranscriptFiles,
        policy: RecordingPolicy,
        makes_transcripts: bool,
        clock: Clock,
        url_lifetime: timedelta,
        parse_name: Callable[[str], RecordingFileName],
    ) -> None:
        self._recordings = recordings
        self._jobs = jobs
        self._files = files
        self._transcripts = transcripts
        self._policy = policy
        self._makes_transcripts = makes_transcripts
        self._clock = clock
        self._url_lifetime = url_lifetime
        self._parse_name = parse_name

    def one(self, recording_id: str) -> RecordingView:
        """Return the recording with this id, from its job if no worker has looked at it yet.

        Raises:
            ResourceNotFoundError: no recording has this id.
            StoreUnavailableError: the store did not answer.
        """
        if not is_recording_id(recording_id):
            raise _not_found()
        recording = self._recordings.get(recording_id)
        if recording is None:
            recording = Recording(recording_id=recording_id, ready_facts=frozenset({self._read_job(recording_id)}))
        return self._view_existing(recording)

    def transcript(self, recording_id: str) -> TranscriptView:
        """Return the conversation of this recording, with the roles as they are corrected now.

        Raises:
            ResourceNotFoundError: no recording has this id.
            TranscriptNotFoundError: the recording has no transcript, and none is awaited.
            TranscriptNotReadyError: the transcript is awaited.
            StoreUnavailableError: the store did not answer.
            UnreadableItemError: a later version wrote the transcript.
        """
        recording = self.one(recording_id).recording
        status = status_of_transcript(recording, wanted=self._makes_transcripts)
        if status.state in (TranscriptState.WAITING, TranscriptState.RECOGNIZING):
            raise TranscriptNotReadyError(
                f"The transcript is {status.state}", retry_after_s=_RETRY_AFTER_S[status.state]
            )
        if not status.state.readable:
            if status.reason is None:
                raise TranscriptNotFoundError("This recording has no transcript")
            raise TranscriptNotFoundError(f"This recording has no transcript: {status.reason}")
        documents = [self._read_transcript(stored.key) for stored in status.transcripts]
        document = merge_documents(documents, language=status.language or "")
        roles = {channel: recording.role_of(channel) for channel in Channel}
        return TranscriptView(
            recording_id=recording_id,
            status=status,
            document=document,
            turns=build_turns(document.words, roles=roles),
            figures=measure_figures(document, roles=roles),
        )

    def _read_transcript(self, key: str) -> TranscriptDocument:
        content = self._transcripts.read(key)
        if content is None:
            raise TranscriptNotFoundError("The transcript was deleted")
        try:
            return decode_document(content)
        except ValueError:
            raise UnreadableItemError("read transcript: unknown form") from None

    def many(self, recording_filter: RecordingFilter, *, limit: int, position: str | None) -> RecordingList:
        """Return at most `limit` recordings, newest call first.

        A filter by state may give a short page that is not the last.

        Raises:
            InvalidRequestError: `position` is not one that this list returned.
            StoreUnavailableError: the store did not answer.
        """

        def view_if_in_state(recording: Recording) -> RecordingView | None:
            now = self._clock.now()
            status = self._policy.status(recording, now=now)
            in_state = recording_filter.state in (None, status.state)
            return self._view(recording, status, now=now) if in_state else None

        return fill_page(self._recordings.find, recording_filter, limit=limit, position=position, view=view_if_in_state)

    def correct_roles(self, recording_id: str, *, left: Role, right: Role) -> RecordingView:
        """Record who speaks on the left and on the right channel, beside the earlier corrections.

        Nothing is recorded if the channels have these roles already.

        Raises:
            ResourceNotFoundError: no recording has this id.
            CorrectionLimitError: the recording was corrected MAX_CORRECTIONS times today.
            StoreUnavailableError: the store did not answer, or other callers keep correcting this recording.
        """
        for _ in range(_MAX_TRIES):
            recording = self._find_or_announce(recording_id)
            correction = recording.correct(left=left, right=right, at=self._clock.now())
            if correction is None:
                return self._view_existing(recording)
            corrected = self._recordings.correct(recording, correction)
            if corrected is not None:
                return self._view_existing(corrected)
        raise StoreUnavailableError("correct roles: the recording was corrected at the same time")

    def _find_or_announce(self, recording_id: str) -> Recording:
        """Return the stored recording. One that no worker has looked at yet is stored first."""
        if not is_recording_id(recording_id):
            raise _not_found()
        recording = self._recordings.get(recording_id)
        if recording is not None:
            return recording
        due = self._clock.now() + self._policy.deadlines.attempt_timeout
        return self._recordings.announce(recording_id, self._read_job(recording_id), due=due)

    def _read_job(self, recording_id: str) -> ReadyFact:
        """Return the report that announced the recording.

        Raises:
            ResourceNotFoundError: there is none, or its object cannot be read.
        """
        try:
            ready_fact = self._jobs.get(recording_id)
        except UnreadableJobError:
            ready_fact = None
        if ready_fact is None:
            raise _not_found()
        return ready_fact

    def _view_existing(self, recording: Recording) -> RecordingView:
        now = self._clock.now()
        return self._view(recording, self._policy.status(recording, now=now), now=now)

    def _view(self, recording: Recording, status: RecordingStatus, *, now: datetime) -> RecordingView:
        return replace(
            view_without_links(
                recording, status, parse_name=self._parse_name, makes_transcripts=self._makes_transcripts
            ),
            urls={
                channel: self._files.url(file, expires_in=self._url_lifetime)
                for channel, file in _stored_files(status).items()
            },
            urls_expire_at=now + self._url_lifetime,
        )


def view_without_links(
    recording: Recording,
    status: RecordingStatus,
    *,
    parse_name: Callable[[str], RecordingFileName],
    makes_transcripts: bool,
) -> RecordingView:
    """Return the recording as callers see it, without links to its files."""
    names = {}
    for channel, file in _stored_files(status).items():
        # A name may not follow the naming rule.
        with suppress(UnreadableFileNameError):
            names[channel] = parse_name(file.file_name)
    tel, called_at = tel_and_time(recording, names.values())
    return RecordingView(
        recording=recording,
        status=status,
        tel=tel,
        called_at=called_at,
        sides={channel: name.side for channel, name in names.items()},
        transcript=status_of_transcript(recording, wanted=makes_transcripts),
    )


def _stored_files(status: RecordingStatus) -> dict[Channel, StoredFile]:
    return {channel: state.file for channel, state in status.channels.items() if state.file is not None}


def _not_found() -> ResourceNotFoundError:
    return ResourceNotFoundError("No such recording")

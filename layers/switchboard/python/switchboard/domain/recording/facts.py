"""Hold the facts about a recording. Its status follows from them, from the channels to fetch and from the time.

Facts are kept in sets. The status does not depend on the order in which facts arrive, or on how often one arrives. The
same ready fact can come twice, an outcome can come before the start of its attempt, and two workers can fetch the same
channel. A fact is never removed, except an attempt that made no request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from switchboard.domain.errors import CorrectionLimitError
from switchboard.domain.timestamps import JAPAN

if TYPE_CHECKING:
    # Only for types: webhooks read no transcript and need not load it.
    from switchboard.domain.recording.transcript_facts import (
        StoredTranscript,
        TranscriptionAttempt,
        TranscriptionOutcome,
    )

_RECORDING_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class Channel(StrEnum):
    """A file of a recorded call. `left` is the other party's side, `right` the operator's, `monaural` both mixed."""

    LEFT = "left"
    RIGHT = "right"
    MONAURAL = "monaural"


class Role(StrEnum):
    """The speaker on a channel."""

    CUSTOMER = "customer"
    OPERATOR = "operator"
    MIXED = "mixed"


class Side(StrEnum):
    """The file naming rule's SRC or DST. The document gives one example of each and explains neither."""

    SRC = "SRC"
    DST = "DST"


ROLES: Final[Mapping[Channel, Role]] = MappingProxyType(
    {Channel.LEFT: Role.CUSTOMER, Channel.RIGHT: Role.OPERATOR, Channel.MONAURAL: Role.MIXED}
)
"""The speaker on each channel before a correction. After transfers the provider may have them the wrong way round."""

MAX_CORRECTIONS: Final = 100
"""The number of role corrections of one recording in one day (JST), and of those that its item keeps: the newest."""

_CLOCK_STEP: Final = timedelta(milliseconds=1)
"""The smallest difference between two stored times."""

MAX_NOTICES: Final = 5
"""The number of different ready facts of one recording, counted apart for reports and for files."""

SPLIT: Final = frozenset({Channel.LEFT, Channel.RIGHT})
"""The channels that the provider keeps for some days only."""


def is_recording_id(text: str) -> bool:
    """Return whether `text` can be a recording's id.

    An id has 1 to 64 letters, digits, `.`, `_` and `-`, begins with a letter or digit, and has no two dots in a row. It
    goes into paths and keys unchanged, and no meaning is read from it.
    """
    return bool(_RECORDING_ID.fullmatch(text)) and ".." not in text


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingReady:
    """A provider's report that the recording of a call can be fetched.

    `tel` is the other party as the provider writes it: digits, masked digits, `anonymous`, or empty. `date` is the
    provider's time unchanged. `called_at` is the same time in UTC, or None if it cannot be read.
    """

    recording_id: str
    tel: str = ""
    date: str = ""
    called_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFileName:
    """The parts of the name of a split recording's file.

    `from_number` and `to_number` are as written and may be empty. `started_at` is UTC.
    """

    started_at: datetime
    from_number: str
    to_number: str
    recording_id: str
    side: Side
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A channel's file, stored whole under its key. `seconds` is None if the file does not tell its length."""

    key: str
    bytes: int
    sha256: str
    content_type: str
    file_name: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedFile:
    """An answer in which no whole recording was recognised, kept under its key in the quarantine bucket.

    `is_text` is True if it begins like a page or an error, in place of which the recording may still come. `is_cut` is
    True if its transfer failed: these are the bytes that came before.
    """

    key: str
    bytes: int
    sha256: str
    is_text: bool
    is_cut: bool = False


class ParkingReason(StrEnum):
    """The reasons for which a recording is parked: a limit is reached, and the sweep brings it out later.

    Too many recordings are announced, and this one's id is of the day or of another day. Or BIZTEL answered 404 for
    this one, and too many such recordings were asked for again.
    """

    DATED_NEAR = "dated_near"
    OTHER_DATE = "other_date"
    NOT_FOUND = "not_found"


class FetchEnd(StrEnum):
    """The ways in which one attempt to fetch a channel ends."""

    STORED = "stored"
    QUARANTINED = "quarantined"
    """The answer is in quarantine, because it was not recognised as a recording or its end is not certain."""
    TOO_LARGE = "too_large"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    FAILED = "failed"
    QUOTA_EXHAUSTED = "quota_exhausted"
    """No request was made: the monthly quota is exhausted, and the channel is deleted before the next month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyFact:
    """The fact that a recording is ready, and when this first came.

    With `by_file` the file itself came instead of a report, so that no request is needed.
    """

    tel: str
    date: str
    called_at: datetime | None
    at: datetime
    by_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchAttempt:
    """The fact that a worker began to fetch a channel. `id` ties the outcome to the attempt."""

    id: str
    channel: Channel
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOutcome:
    """The end of the attempt with the same id.

    It has a `file` if and only if its end is `stored`, and a whole `unrecognised` file if and only if it is
    `quarantined`. A cut one it may have if it is `failed`.
    """

    id: str
    channel: Channel
    at: datetime
    end: FetchEnd
    file: StoredFile | None = None
    unrecognised: QuarantinedFile | None = None
    provider_code: str | None = None

    def __post_init__(self) -> None:
        if (self.file is not None) is not (self.end is FetchEnd.STORED):
            raise ValueError("an outcome has a file if and only if its end is `stored`")
        has_whole_file = self.unrecognised is not None and not self.unrecognised.is_cut
        if has_whole_file is not (self.end is FetchEnd.QUARANTINED):
            raise ValueError("an outcome has a whole unrecognised file if and only if its end is `quarantined`")
        if self.unrecognised is not None and self.unrecognised.is_cut and self.end is not FetchEnd.FAILED:
            raise ValueError("an outcome has a cut file only if its end is `failed`")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCorrection:
    """The fact that a caller corrected the roles, and when."""

    at: datetime
    left: Role
    right: Role


RecordingFact = ReadyFact | FetchAttempt | FetchOutcome | RoleCorrection


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The facts about one recording, in no order.

    `closed_at` is when the worker recorded that every channel is final, so that the sweep no longer looks at it.
    `parked` is set while the recording is parked, and `parked_at` is when it was parked first.
    `transcription_due` is when to look at its transcript, or None if that is not awaited. `transcription_waits_for`
    says for what it waits.

    A late report takes `closed_at` back: `closings` counts those recorded, and `last_closed_at` is the last.
    `dropped_corrections` counts the corrections that gave way to newer ones.
    """

    recording_id: str
    ready_facts: frozenset[ReadyFact]
    attempts: frozenset[FetchAttempt] = frozenset()
    outcomes: frozenset[FetchOutcome] = frozenset()
    corrections: frozenset[RoleCorrection] = frozenset()
    closed_at: datetime | None = None
    parked: ParkingReason | None = None
    parked_at: datetime | None = None
    transcription_attempts: frozenset[TranscriptionAttempt] = frozenset()
    transcription_outcomes: frozenset[TranscriptionOutcome] = frozenset()
    transcripts: frozenset[StoredTranscript] = frozenset()
    transcription_due: datetime | None = None
    transcription_waits_for: str | None = None
    closings: int = 0
    last_closed_at: datetime | None = None
    dropped_corrections: int = 0

    def __post_init__(self) -> None:
        if not self.ready_facts:
            raise ValueError("a recording has at least one ready fact")

    @property
    def announced_at(self) -> datetime:
        """The time of the first ready fact."""
        return min(ready_fact.at for ready_fact in self.ready_facts)

    @property
    def came_as_files(self) -> bool:
        """True if only the files themselves came and no report, so that no request is needed."""
        return all(ready_fact.by_file for ready_fact in self.ready_facts)

    @property
    def notices(self) -> tuple[ReadyFact, ...]:
        """The provider's reports of this recording, first report first."""
        reports = [ready_fact for ready_fact in self.ready_facts if not ready_fact.by_file]
        return tuple(sorted(reports, key=lambda report: (report.at, report.tel, report.date)))

    @property
    def is_doubtful(self) -> bool:
        """True if the provider answered 404 and no file is stored. The recording may not exist."""
        ends = {outcome.end for outcome in self.outcomes}
        return FetchEnd.NOT_FOUND in ends and FetchEnd.STORED not in ends

    @property
    def called_at(self) -> datetime | None:
        """The time of the call, from the first ready fact with a readable time, or None if there is none."""
        times = [(ready_fact.at, ready_fact.called_at) for ready_fact in self.ready_facts if ready_fact.called_at]
        return min(times)[1] if times else None

    @property
    def latest_called_at(self) -> datetime | None:
        """The latest readable time of the call in any ready fact, or None if there is none."""
        return max((ready_fact.called_at for ready_fact in self.ready_facts if ready_fact.called_at), default=None)

    @property
    def tel(self) -> str:
        """The other party, from the first ready fact that names one. It is empty if none does."""
        first = min(self.ready_facts, key=lambda ready_fact: (not ready_fact.tel, ready_fact.at, ready_fact.tel))
        return first.tel

    @property
    def sequence(self) -> int:
        """The number of visible facts. It never falls: attempts, which may be withdrawn, are none of them."""
        return len(self._visible_fact_times()) + max(0, self.closings - 1) + self.dropped_corrections

    @property
    def changed_at(self) -> datetime:
        """The time of the newest visible fact."""
        return max(self._visible_fact_times())

    def without_passing_facts(self) -> Recording:
        """Return the recording with its visible facts only, so that one `sequence` always has the same view."""
        return replace(
            self,
            attempts=frozenset(),
            closed_at=self.last_closed_at,
            parked=None,
            transcription_due=None,
            transcription_waits_for=None,
        )

    def _visible_fact_times(self) -> list[datetime]:
        facts: list[RecordingFact] = [*self.ready_facts, *self.outcomes, *self.corrections]
        return [
            *(fact.at for fact in facts),
            *(attempt.at for attempt in self.transcription_attempts),
            *(outcome.at for outcome in self.transcription_outcomes),
            *(transcript.at for transcript in self.transcripts),
            *(at for at in (self.parked_at, self.last_closed_at) if at is not None),
        ]

    def role_of(self, channel: Channel) -> Role:
        """Return the speaker on the channel: the last correction's, or else the document's."""
        if channel not in SPLIT or not self.corrections:
            return ROLES[channel]
        latest = self.newest_corrections[0]
        return latest.left if channel is Channel.LEFT else latest.right

    @property
    def newest_corrections(self) -> list[RoleCorrection]:
        """The corrections, newest first. The first of them decides the roles."""
        return sorted(
            self.corrections, key=lambda correction: (correction.at, correction.left, correction.right), reverse=True
        )

    def correct(self, *, left: Role, right: Role, at: datetime) -> RoleCorrection | None:
        """Return the correction that gives the channels these roles at `at`, or None if they have them already.

        A correction is later than all before it, even if the clocks of two containers differ.

        Raises:
            CorrectionLimitError: the recording was corrected MAX_CORRECTIONS times today.
        """
        if (left, right) == (self.role_of(Channel.LEFT), self.role_of(Channel.RIGHT)):
            return None
        today = at.astimezone(JAPAN).replace(hour=0, minute=0, second=0, microsecond=0)
        if sum(correction.at >= today for correction in self.corrections) >= MAX_CORRECTIONS:
            tomorrow = today + timedelta(days=1)
            raise CorrectionLimitError(
                f"This recording was corrected {MAX_CORRECTIONS} times today. Repeat the request tomorrow (JST)",
                retry_after_s=max(1, math.ceil((tomorrow - at).total_seconds())),
            )
        after_latest = [correction.at + _CLOCK_STEP for correction in self.newest_corrections[:1]]
        return RoleCorrection(at=max(at, *after_latest) if after_latest else at, left=left, right=right)

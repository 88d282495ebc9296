"""Convert the facts of a recording to one StateTable item and back: one attribute for each fact.

Adding a fact therefore needs no read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from switchboard.domain.phone_numbers import canonical_tel
from switchboard.domain.recording.facts import (
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
from switchboard.domain.recording.transcript_facts import (
    FailureReason,
    Source,
    StoredTranscript,
    TranscriptionAttempt,
    TranscriptionEnd,
    TranscriptionOutcome,
)
from switchboard.domain.timestamps import from_optional_rfc3339, from_rfc3339, to_rfc3339
from switchboard.storage.items import Item, decoding_errors, from_attributes, require_type

KIND: Final = "recording"
READY, ATTEMPT, OUTCOME, CORRECTION = "ready_fact|", "attempt|", "outcome|", "correction|"
TRANSCRIPTION_ATTEMPT: Final = "transcription_attempt|"
TRANSCRIPTION_OUTCOME: Final = "transcription_outcome|"
TRANSCRIPT: Final = "transcript|"
TRANSCRIPTION_PENDING: Final = "pending#transcription"
"""The partition in which the sweep finds what is pending of transcripts."""
LIST_PARTITION: Final = KIND
PENDING: Final = f"pending#{KIND}"
"""The only partition in which the sweep finds what is pending: BIZTEL's limits keep it small."""


def recording_pk(recording_id: str) -> str:
    """Return the table's key of the recording with this id."""
    return f"RECORDING#{recording_id}"


def tel_partition(tel: str) -> str:
    """Return the partition of the recordings of calls with this other party."""
    return f"{KIND}#{canonical_tel(tel)}"


def ready_attribute(ready_fact: ReadyFact) -> str:
    """Name the attribute of a ready fact by its content, so that a repeated ready fact finds its first write."""
    content = repr((ready_fact.tel, ready_fact.date, ready_fact.called_at, ready_fact.by_file))
    return f"{READY}{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def ready_value(ready_fact: ReadyFact) -> dict[str, Any]:
    """Convert a ready fact to a plain value."""
    value: dict[str, Any] = {"tel": ready_fact.tel, "date": ready_fact.date, "at": to_rfc3339(ready_fact.at)}
    if ready_fact.called_at is not None:
        value["called_at"] = to_rfc3339(ready_fact.called_at)
    return value | {"by_file": True} if ready_fact.by_file else value


def attempt_value(attempt: FetchAttempt) -> dict[str, Any]:
    """Convert an attempt to a plain value. Its id is in the attribute's name."""
    return {"channel": attempt.channel.value, "at": to_rfc3339(attempt.at)}


def outcome_value(outcome: FetchOutcome) -> dict[str, Any]:
    """Convert an outcome to a plain value. Its id is in the attribute's name."""
    value: dict[str, Any] = {
        "channel": outcome.channel.value,
        "at": to_rfc3339(outcome.at),
        "end": outcome.end.value,
    }
    if outcome.provider_code is not None:
        value["code"] = outcome.provider_code
    if outcome.file is not None:
        file = outcome.file
        value["file"] = {
            "key": file.key,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "content_type": file.content_type,
            "file_name": file.file_name,
            **({} if file.seconds is None else {"seconds": Decimal(str(file.seconds))}),
        }
    if outcome.unrecognised is not None:
        unrecognised = outcome.unrecognised
        value["unrecognised"] = {
            "key": unrecognised.key,
            "bytes": unrecognised.bytes,
            "sha256": unrecognised.sha256,
            "is_text": unrecognised.is_text,
            **({"is_cut": True} if unrecognised.is_cut else {}),
        }
    return value


def correction_value(correction: RoleCorrection) -> dict[str, Any]:
    """Convert a correction to a plain value."""
    return {"at": to_rfc3339(correction.at), "left": correction.left.value, "right": correction.right.value}


def transcription_attempt_value(attempt: TranscriptionAttempt) -> dict[str, Any]:
    """Convert an attempt at a transcript to a plain value. Its job is in the attribute's name."""
    return {
        "source": attempt.source.value,
        "inputs": list(attempt.inputs),
        "language": attempt.language,
        "recognizer": attempt.recognizer,
        "generation": attempt.generation,
        "billed_seconds": attempt.billed_seconds,
        "at": to_rfc3339(attempt.at),
    }


def transcription_outcome_attribute(outcome: TranscriptionOutcome) -> str:
    """Name the attribute of a job's outcome of one kind, of which the first stays."""
    return f"{TRANSCRIPTION_OUTCOME}{outcome.job}|{outcome.end.value}"


def transcription_outcome_value(outcome: TranscriptionOutcome) -> dict[str, Any]:
    """Convert the outcome of a job to a plain value. Its job and kind are in the attribute's name."""
    value = {"at": to_rfc3339(outcome.at)}
    if outcome.reason is not None:
        value["reason"] = outcome.reason.value
    return value if outcome.words is None else value | {"words": outcome.words}


def transcript_value(transcript: StoredTranscript) -> dict[str, Any]:
    """Convert the fact about a stored transcript to a plain value, without any text of it."""
    return {
        "key": transcript.key,
        "sha256": transcript.sha256,
        "words": transcript.words,
        "removed": dict(transcript.removed),
        "rules": transcript.rules,
        "at": to_rfc3339(transcript.at),
    }


def recording_from(item: Item | None) -> Recording | None:
    """Build the recording in an item, or return None if the item holds none.

    Raises:
        UnreadableItemError: this version cannot read the item.
    """
    if not item or item.get("kind", {}).get("S") != KIND:
        return None
    with decoding_errors("recording"):
        return _build_recording(item)


def _build_recording(item: Item) -> Recording:
    values = from_attributes(item)
    facts = {
        prefix: [(name.removeprefix(prefix), value) for name, value in values.items() if name.startswith(prefix)]
        for prefix in (
            *(READY, ATTEMPT, OUTCOME, CORRECTION),
            *(TRANSCRIPTION_ATTEMPT, TRANSCRIPTION_OUTCOME, TRANSCRIPT),
        )
    }
    require_type(str, values["id"])
    if values["pk"] != recording_pk(values["id"]):
        # No write would find this item.
        raise ValueError
    return Recording(
        recording_id=values["id"],
        ready_facts=frozenset(_ready_fact_from(value) for _, value in facts[READY]),
        attempts=frozenset(
            FetchAttempt(id=attempt_id, channel=Channel(value["channel"]), at=from_rfc3339(value["at"]))
            for attempt_id, value in facts[ATTEMPT]
        ),
        outcomes=frozenset(_outcome_from(attempt_id, value) for attempt_id, value in facts[OUTCOME]),
        corrections=frozenset(
            RoleCorrection(at=from_rfc3339(value["at"]), left=Role(value["left"]), right=Role(value["right"]))
            for _, value in facts[CORRECTION]
        ),
        closed_at=from_optional_rfc3339(values.get("closed_at")),
        parked=ParkingReason(values["parked"]) if "parked" in values else None,
        parked_at=from_optional_rfc3339(values.get("parked_at")),
        transcription_attempts=frozenset(
            _transcription_attempt_from(job, value) for job, value in facts[TRANSCRIPTION_ATTEMPT]
        ),
        transcription_outcomes=frozenset(
            _transcription_outcome_from(name, value) for name, value in facts[TRANSCRIPTION_OUTCOME]
        ),
        transcripts=frozenset(_transcript_from(job, value) for job, value in facts[TRANSCRIPT]),
        transcription_due=from_rfc3339(values["due"]) if values.get("pending") == TRANSCRIPTION_PENDING else None,
        transcription_waits_for=values.get("transcription_waits_for"),
        closings=int(values.get("closings", 0)),
        last_closed_at=from_optional_rfc3339(values.get("last_closed_at")),
        dropped_corrections=int(values.get("dropped_corrections", 0)),
    )


def _ready_fact_from(value: Mapping[str, Any]) -> ReadyFact:
    require_type(str, value["tel"], value["date"])
    return ReadyFact(
        tel=value["tel"],
        date=value["date"],
        called_at=from_optional_rfc3339(value.get("called_at")),
        at=from_rfc3339(value["at"]),
        by_file=value.get("by_file", False),
    )


def _outcome_from(attempt_id: str, value: Mapping[str, Any]) -> FetchOutcome:
    file, unrecognised = value.get("file"), value.get("unrecognised")
    require_type(str | None, value.get("code"))
    return FetchOutcome(
        id=attempt_id,
        channel=Channel(value["channel"]),
        at=from_rfc3339(value["at"]),
        end=FetchEnd(value["end"]),
        provider_code=value.get("code"),
        file=_file_from(file) if file is not None else None,
        unrecognised=_unrecognised_from(unrecognised) if unrecognised is not None else None,
    )


def _unrecognised_from(value: Mapping[str, Any]) -> QuarantinedFile:
    require_type(str, value["key"], value["sha256"])
    require_type(bool, value["is_text"])
    return QuarantinedFile(
        key=value["key"],
        bytes=int(value["bytes"]),
        sha256=value["sha256"],
        is_text=value["is_text"],
        is_cut=value.get("is_cut", False),
    )


def _file_from(value: Mapping[str, Any]) -> StoredFile:
    require_type(str, *(value[name] for name in ("key", "sha256", "content_type", "file_name")))
    return StoredFile(
        key=value["key"],
        bytes=int(value["bytes"]),
        sha256=value["sha256"],
        content_type=value["content_type"],
        file_name=value["file_name"],
        seconds=float(value["seconds"]) if "seconds" in value else None,
    )


def _transcription_attempt_from(job: str, value: Mapping[str, Any]) -> TranscriptionAttempt:
    require_type(str, value["language"], value["recognizer"], *value["inputs"])
    return TranscriptionAttempt(
        job=job,
        source=Source(value["source"]),
        inputs=tuple(value["inputs"]),
        language=value["language"],
        recognizer=value["recognizer"],
        generation=int(value["generation"]),
        billed_seconds=int(value["billed_seconds"]),
        at=from_rfc3339(value["at"]),
    )


def _transcription_outcome_from(name: str, value: Mapping[str, Any]) -> TranscriptionOutcome:
    job, _, end = name.rpartition("|")
    require_type(str | None, value.get("words"))
    return TranscriptionOutcome(
        job=job,
        end=TranscriptionEnd(end),
        at=from_rfc3339(value["at"]),
        reason=FailureReason(value["reason"]) if "reason" in value else None,
        words=value.get("words"),
    )


def _transcript_from(job: str, value: Mapping[str, Any]) -> StoredTranscript:
    require_type(str, value["key"], value["sha256"], value["rules"])
    return StoredTranscript(
        job=job,
        key=value["key"],
        sha256=value["sha256"],
        words=int(value["words"]),
        removed=tuple(sorted((kind, int(count)) for kind, count in value["removed"].items())),
        rules=value["rules"],
        at=from_rfc3339(value["at"]),
    )

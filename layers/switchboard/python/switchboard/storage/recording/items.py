"""How a recording's facts lie in one StateTable item: an attribute a fact, so that adding one needs no read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer

from switchboard.domain.phone_numbers import canonical_tel
from switchboard.domain.recording.facts import (
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
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339

KIND: Final = "recording"
READY, ATTEMPT, OUTCOME, CORRECTION = "ready_fact|", "attempt|", "outcome|", "correction|"
LIST_PARTITION: Final = KIND

_deserialize = TypeDeserializer().deserialize


def recording_pk(recording_id: str) -> str:
    return f"RECORDING#{recording_id}"


def tel_partition(tel: str) -> str:
    """Where recordings with this other party are listed."""
    return f"{KIND}#{canonical_tel(tel)}"


def ready_attribute(ready_fact: ReadyFact) -> str:
    """One for each that says something else: the same again finds its own place."""
    said = repr((ready_fact.tel, ready_fact.date, ready_fact.called_at, ready_fact.by_file))
    return f"{READY}{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def ready_value(ready_fact: ReadyFact) -> dict[str, Any]:
    value: dict[str, Any] = {"tel": ready_fact.tel, "date": ready_fact.date, "at": to_rfc3339(ready_fact.at)}
    if ready_fact.called_at is not None:
        value["called_at"] = to_rfc3339(ready_fact.called_at)
    return value | {"by_file": True} if ready_fact.by_file else value


def attempt_value(attempt: FetchAttempt) -> dict[str, Any]:
    return {"channel": attempt.channel.value, "at": to_rfc3339(attempt.at)}


def outcome_value(outcome: FetchOutcome) -> dict[str, Any]:
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
    return value


def correction_value(correction: RoleCorrection) -> dict[str, Any]:
    return {"at": to_rfc3339(correction.at), "left": correction.left.value, "right": correction.right.value}


def recording_from(item: Mapping[str, Any] | None) -> Recording | None:
    """The recording in an item, or None where there is none."""
    if not item or item.get("kind", {}).get("S") != KIND:
        return None
    values = {name: _deserialize(value) for name, value in item.items()}
    facts = {
        prefix: [(name.removeprefix(prefix), value) for name, value in values.items() if name.startswith(prefix)]
        for prefix in (READY, ATTEMPT, OUTCOME, CORRECTION)
    }
    return Recording(
        recording_id=values["id"],
        ready_facts=frozenset(_announcement(value) for _, value in facts[READY]),
        attempts=frozenset(
            FetchAttempt(id=id_, channel=Channel(value["channel"]), at=from_rfc3339(value["at"]))
            for id_, value in facts[ATTEMPT]
        ),
        outcomes=frozenset(_outcome(id_, value) for id_, value in facts[OUTCOME]),
        corrections=frozenset(
            RoleCorrection(at=from_rfc3339(value["at"]), left=Role(value["left"]), right=Role(value["right"]))
            for _, value in facts[CORRECTION]
        ),
        closed_at=_instant(values.get("closed_at")),
    )


def _announcement(value: Mapping[str, Any]) -> ReadyFact:
    return ReadyFact(
        tel=value["tel"],
        date=value["date"],
        called_at=_instant(value.get("called_at")),
        at=from_rfc3339(value["at"]),
        by_file=value.get("by_file", False),
    )


def _outcome(id_: str, value: Mapping[str, Any]) -> FetchOutcome:
    file = value.get("file")
    return FetchOutcome(
        id=id_,
        channel=Channel(value["channel"]),
        at=from_rfc3339(value["at"]),
        end=FetchEnd(value["end"]),
        provider_code=value.get("code"),
        file=None
        if file is None
        else StoredFile(
            key=file["key"],
            bytes=int(file["bytes"]),
            sha256=file["sha256"],
            content_type=file["content_type"],
            file_name=file["file_name"],
            seconds=float(file["seconds"]) if "seconds" in file else None,
        ),
    )


def _instant(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text else None

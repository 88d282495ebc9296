"""Recordings in the StateTable: one item each, facts added by single writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import (
    MAX_CORRECTIONS,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ReadyFact,
    Recording,
    RoleCorrection,
    is_recording_id,
    too_many_corrections,
)
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.recordings import RecordingPage
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import expiry, to_attributes
from switchboard.storage.orders.indexes import check_position, id_in, items_behind
from switchboard.storage.orders.items import pending_partition
from switchboard.storage.orders.store import BY_CLIENT, BY_DUE, BY_RECIPIENT
from switchboard.storage.recording.items import (
    ATTEMPT,
    CORRECTION,
    KIND,
    LIST_PARTITION,
    OUTCOME,
    attempt_value,
    correction_value,
    outcome_value,
    ready_attribute,
    ready_value,
    recording_from,
    recording_pk,
    tel_partition,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PENDING: Final = pending_partition(KIND)


class DynamoDbRecordingStore:
    """A RecordingStore over one table. `retention` is how long an item is kept after its ready_fact."""

    def __init__(self, *, client: DynamoDBClient, table: str, retention: timedelta) -> None:
        self._client = client
        self._table = table
        self._retention = retention

    def announce(self, recording_id: str, ready_fact: ReadyFact, *, due: datetime) -> Recording:
        position = f"{to_rfc3339(ready_fact.called_at or ready_fact.at)}#{recording_id}"
        first = {
            "kind": KIND,
            "id": recording_id,
            "list_partition": LIST_PARTITION,
            "list_position": position,
            "recipient_partition": tel_partition(ready_fact.tel) if ready_fact.tel else None,
            "expires_at": expiry(ready_fact.at, self._retention),
            # Of one that is known already the end of its last look decides.
            "pending": _PENDING,
            "due": to_rfc3339(due),
            ready_attribute(ready_fact): ready_value(ready_fact),
        }
        known = {name: value for name, value in first.items() if value is not None}
        new = ("pending", "due")
        names = {f"#n{index}": name for index, name in enumerate(known)}
        sets = {name: f"{alias} = if_not_exists({alias}, :v{alias[2:]})" for alias, name in names.items()}
        values = {f":v{alias[2:]}": known[name] for alias, name in names.items()}
        announced = self._update(
            "announce recording",
            recording_id,
            update="SET " + ", ".join(sets.values()),
            condition="attribute_not_exists(pk)",
            names=names,
            values=values,
        )
        if announced is not None:
            return announced
        kept = {alias: name for alias, name in names.items() if name not in new}
        again = self._update(
            "announce recording",
            recording_id,
            update="SET " + ", ".join(each for name, each in sets.items() if name not in new),
            names=kept,
            values={f":v{alias[2:]}": known[name] for alias, name in kept.items()},
        )
        return _there(again)

    def get(self, recording_id: str) -> Recording | None:
        with store_errors("get recording"):
            answer = self._client.get_item(TableName=self._table, Key=_key(recording_id), ConsistentRead=True)
        return recording_from(answer.get("Item"))

    def begin(self, recording: Recording, attempt: FetchAttempt, *, due: datetime) -> Recording | None:
        begun = sum(each.channel is attempt.channel for each in recording.attempts)
        count = f"begun_{attempt.channel.value}"
        unchanged = f"{count} = :begun" if begun else f"(attribute_not_exists({count}) OR {count} = :begun)"
        return self._update(
            "begin attempt",
            recording.recording_id,
            update=f"SET #attempt = :attempt, {count} = :next, pending = :pending, due = :due",
            condition=f"attribute_exists(kind) AND attribute_not_exists(stored_{attempt.channel.value})"
            f" AND ({unchanged} OR attribute_exists(#attempt))",
            names={"#attempt": f"{ATTEMPT}{attempt.id}"},
            values={
                ":attempt": attempt_value(attempt),
                ":begun": begun,
                ":next": begun + 1,
                ":pending": _PENDING,
                ":due": to_rfc3339(due),
            },
        )

    def withdraw(self, recording_id: str, attempt: FetchAttempt) -> None:
        count = f"begun_{attempt.channel.value}"
        self._update(
            "withdraw attempt",
            recording_id,
            update=f"SET {count} = {count} - :one REMOVE #attempt",
            condition="attribute_exists(#attempt) AND attribute_not_exists(#outcome)",
            names={"#attempt": f"{ATTEMPT}{attempt.id}", "#outcome": f"{OUTCOME}{attempt.id}"},
            values={":one": 1},
        )

    def record_outcome(self, recording_id: str, outcome: FetchOutcome) -> Recording:
        stored = f", stored_{outcome.channel.value} = :true" if outcome.end is FetchEnd.STORED else ""
        values: dict[str, Any] = {":outcome": outcome_value(outcome)}
        recorded = self._update(
            "record outcome",
            recording_id,
            update=f"SET #outcome = if_not_exists(#outcome, :outcome){stored}",
            condition="attribute_exists(kind)",
            names={"#outcome": f"{OUTCOME}{outcome.id}"},
            values=values | {":true": True} if stored else values,
        )
        return _there(recorded)

    def correct(self, recording_id: str, correction: RoleCorrection) -> Recording | None:
        done, item = conditional_update(
            self._client,
            "correct roles",
            TableName=self._table,
            Key=_key(recording_id),
            UpdateExpression="SET #correction = :correction, corrected = if_not_exists(corrected, :none) + :one",
            ConditionExpression="attribute_exists(kind) AND (attribute_not_exists(corrected) OR corrected < :most)",
            ExpressionAttributeNames={
                "#correction": f"{CORRECTION}{to_rfc3339(correction.at)}|{correction.left.value}"
            },
            ExpressionAttributeValues=to_attributes(
                {":correction": correction_value(correction), ":none": 0, ":one": 1, ":most": MAX_CORRECTIONS}
            ),
        )
        recording = recording_from(item)
        if recording is None or done:
            return recording
        raise too_many_corrections()

    def schedule(self, recording: Recording, *, due: datetime | None, at: datetime) -> None:
        conditions, values = ["attribute_exists(kind)"], dict[str, Any]()
        for channel in Channel:
            begun = sum(each.channel is channel for each in recording.attempts)
            name, value = f"begun_{channel.value}", f":{channel.value}"
            absent = f"attribute_not_exists({name}) OR " if not begun else ""
            conditions.append(f"({absent}{name} = {value})")
            values[value] = begun
        if due is None:
            update = "SET closed_at = if_not_exists(closed_at, :at) REMOVE due, pending"
            values[":at"] = to_rfc3339(at)
        else:
            update = "SET due = :due, pending = :pending REMOVE closed_at"
            values |= {":due": to_rfc3339(due), ":pending": _PENDING}
        self._update(
            "schedule recording",
            recording.recording_id,
            update=update,
            condition=" AND ".join(conditions),
            values=values,
        )

    def find(
        self, *, tel: str | None, since: datetime | None, until: datetime | None, limit: int, position: str | None
    ) -> RecordingPage:
        index, name, partition = BY_CLIENT, "list_partition", LIST_PARTITION
        if tel is not None:
            index, name, partition = BY_RECIPIENT, "recipient_partition", tel_partition(tel)
        lowest, highest = to_rfc3339(since) if since else "0", to_rfc3339(until) if until else "~"
        if position is not None:
            check_position(position, lowest=lowest, highest=highest, is_id=is_recording_id)
        if lowest >= highest:
            return RecordingPage(recordings=(), next_position=None)
        query: dict[str, Any] = {
            "KeyConditionExpression": "#partition = :partition AND list_position BETWEEN :since AND :until",
            "ExpressionAttributeNames": {"#partition": name},
            "ExpressionAttributeValues": to_attributes({":partition": partition, ":since": lowest, ":until": highest}),
        }
        if position is not None:
            query["ExclusiveStartKey"] = to_attributes(
                {
                    "pk": recording_pk(id_in(position)),
                    name: partition,
                    "list_position": position,
                }
            )
        with store_errors("find recordings"):
            answer = self._client.query(
                TableName=self._table, IndexName=index, Limit=limit, ScanIndexForward=False, **query
            )
        last = answer.get("LastEvaluatedKey")
        return RecordingPage(
            recordings=self._fetch(answer["Items"]), next_position=last["list_position"]["S"] if last else None
        )

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Recording]:
        with store_errors("find overdue recordings"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=BY_DUE,
                KeyConditionExpression="pending = :pending AND due <= :now",
                ExpressionAttributeValues=to_attributes({":pending": _PENDING, ":now": to_rfc3339(now)}),
                Limit=limit,
            )
        return self._fetch(answer["Items"])

    def _update(
        self,
        operation: str,
        recording_id: str,
        *,
        update: str,
        values: Mapping[str, Any],
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Recording | None:
        """The recording after it, or None where the condition was not met."""
        more: dict[str, Any] = {}
        if condition:
            more["ConditionExpression"] = condition
        if names:
            more["ExpressionAttributeNames"] = dict(names)
        done, item = conditional_update(
            self._client,
            operation,
            TableName=self._table,
            Key=_key(recording_id),
            UpdateExpression=update,
            ExpressionAttributeValues=to_attributes(values),
            **more,
        )
        return recording_from(item) if done else None

    def _fetch(self, entries: Iterable[Mapping[str, Any]]) -> list[Recording]:
        """The recordings behind index entries, read consistently, in the entries' order."""
        items = items_behind(self._client, self._table, entries, operation="fetch recordings")
        return [recording for recording in map(recording_from, items) if recording is not None]


def _key(recording_id: str) -> dict[str, Any]:
    return to_attributes({"pk": recording_pk(recording_id)})


def _there(recording: Recording | None) -> Recording:
    """What has just been written to."""
    if recording is None:
        raise StoreUnavailableError("update recording: it is none")
    return recording

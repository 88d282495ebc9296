"""Store recordings in the StateTable, one item for each, to which single writes add facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import (
    MAX_CORRECTIONS,
    MAX_NOTICES,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ParkingReason,
    ReadyFact,
    Recording,
    RoleCorrection,
    is_recording_id,
)
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.listing import ListingQuery, Page, UnreadableItem
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import Item, day_partition, expiry, to_attributes
from switchboard.storage.orders.indexes import (
    ListPartition,
    convert_items,
    convert_page,
    list_items,
    overdue_items,
)
from switchboard.storage.recording.items import (
    ATTEMPT,
    CORRECTION,
    KIND,
    LIST_PARTITION,
    OUTCOME,
    PENDING,
    TRANSCRIPTION_PENDING,
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


class DynamoDbRecordingStore:
    """A RecordingStore over one table. An item is kept for `retention` after its first ready fact."""

    def __init__(self, *, client: DynamoDBClient, table: str, retention: timedelta) -> None:
        self._client = client
        self._table = table
        self._retention = retention

    def announce(
        self, recording_id: str, ready_fact: ReadyFact, *, due: datetime, parked: ParkingReason | None = None
    ) -> Recording:
        list_position = f"{to_rfc3339(ready_fact.called_at or ready_fact.at)}#{recording_id}"
        new_item = {
            "kind": KIND,
            "id": recording_id,
            "list_partition": LIST_PARTITION,
            "list_position": list_position,
            "day_partition": day_partition(KIND, recording_pk(recording_id), list_position),
            "recipient_partition": tel_partition(ready_fact.tel) if ready_fact.tel else None,
            "expires_at": expiry(ready_fact.at, self._retention),
            "pending": PENDING if parked is None else _parked_partition(parked),
            "due": to_rfc3339(due if parked is None else ready_fact.at),
            "parked": parked,
            "parked_at": to_rfc3339(ready_fact.at) if parked is not None else None,
            _fact_counter(ready_fact): 1,
            ready_attribute(ready_fact): ready_value(ready_fact),
        }
        created = self._set_if_absent(recording_id, new_item, condition="attribute_not_exists(pk)")
        return created or self._add_ready_fact(recording_id, ready_fact)

    def _add_ready_fact(self, recording_id: str, ready_fact: ReadyFact) -> Recording:
        """Add the fact to an existing recording, unless it is there or there are MAX_NOTICES of its kind.

        The worker that last looked at the recording has decided when it is due, or that nothing is pending.
        """
        count = _fact_counter(ready_fact)
        sets = f"#fact = :fact, {count} = if_not_exists({count}, :none) + :one"
        values = {":fact": ready_value(ready_fact), ":none": 0, ":one": 1, ":most": MAX_NOTICES}
        if ready_fact.tel:
            sets += ", recipient_partition = if_not_exists(recipient_partition, :partition)"
            values[":partition"] = tel_partition(ready_fact.tel)
        _, item = conditional_update(
            self._client,
            "announce recording",
            TableName=self._table,
            Key=_key(recording_id),
            UpdateExpression=f"SET {sets}",
            ConditionExpression="attribute_exists(kind) AND attribute_not_exists(#fact)"
            f" AND (attribute_not_exists({count}) OR {count} < :most)",
            ExpressionAttributeNames={"#fact": ready_attribute(ready_fact)},
            ExpressionAttributeValues=to_attributes(values),
        )
        return _require_recording(recording_from(item))

    def get(self, recording_id: str) -> Recording | None:
        with store_errors("get recording"):
            response = self._client.get_item(TableName=self._table, Key=_key(recording_id), ConsistentRead=True)
        return recording_from(response.get("Item"))

    def begin(self, recording: Recording, attempt: FetchAttempt, *, due: datetime) -> Recording | None:
        begun = _count_attempts(recording, attempt.channel)
        count = f"begun_{attempt.channel.value}"
        unchanged = f"{count} = :begun" if begun else f"(attribute_not_exists({count}) OR {count} = :begun)"
        name, stored = f"{ATTEMPT}{attempt.id}", f"stored_{attempt.channel.value}"
        return self._update(
            "begin attempt",
            recording.recording_id,
            update=f"SET #attempt = :attempt, {count} = :next, pending = :pending, due = :due REMOVE parked",
            condition=f"attribute_exists(kind) AND attribute_not_exists({stored}) AND {unchanged}",
            # A repetition after a lost answer must not count again: another attempt may have begun meanwhile.
            is_repeated=lambda item: name in item and stored not in item,
            names={"#attempt": name},
            values={
                ":attempt": attempt_value(attempt),
                ":begun": begun,
                ":next": begun + 1,
                ":pending": PENDING,
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
        recording = self._update(
            "record outcome",
            recording_id,
            update=f"SET #outcome = if_not_exists(#outcome, :outcome){stored}",
            condition="attribute_exists(kind)",
            names={"#outcome": f"{OUTCOME}{outcome.id}"},
            values=values | {":true": True} if stored else values,
        )
        return _require_recording(recording)

    def correct(self, recording: Recording, correction: RoleCorrection) -> Recording | None:
        superfluous = recording.newest_corrections[MAX_CORRECTIONS - 1 :]
        removed = {f"#old{number}": _correction_name(old) for number, old in enumerate(superfluous)}
        values: dict[str, Any] = {":correction": correction_value(correction), ":at": to_rfc3339(correction.at)}
        dropped = ""
        if superfluous:
            dropped = ", dropped_corrections = :dropped"
            values[":dropped"] = recording.dropped_corrections + len(superfluous)
        unchanged = "attribute_not_exists(corrected_at)"
        if recording.corrections:
            unchanged = "corrected_at = :seen"
            values[":seen"] = to_rfc3339(recording.newest_corrections[0].at)
        return self._update(
            "correct roles",
            recording.recording_id,
            update=f"SET #correction = :correction, corrected_at = :at{dropped}"
            + (f" REMOVE {', '.join(removed)}" if removed else ""),
            condition=f"attribute_exists(kind) AND {unchanged}",
            names={"#correction": _correction_name(correction), **removed},
            values=values,
        )

    def schedule(
        self, recording: Recording, *, due: datetime | None, at: datetime, transcribe_due: datetime | None = None
    ) -> None:
        if due is not None:
            update = "SET due = :due, pending = :pending REMOVE closed_at, parked"
            self._update_unless_begun(recording, update=update, values={":due": to_rfc3339(due), ":pending": PENDING})
            return
        values: dict[str, Any] = {}
        if transcribe_due is None:
            sets, ends = [], "REMOVE due, pending, parked"
        else:
            sets, ends = ["due = :due", "pending = :pending"], "REMOVE parked"
            values = {":due": to_rfc3339(transcribe_due), ":pending": TRANSCRIPTION_PENDING}
        condition = "attribute_exists(kind)"
        if recording.closed_at is None:
            # Another worker that closed it meanwhile has made the same write.
            condition += " AND attribute_not_exists(closed_at)"
            sets += ["closed_at = :at", "last_closed_at = :at", "closings = if_not_exists(closings, :none) + :one"]
            values |= {":at": to_rfc3339(at), ":none": 0, ":one": 1}
        update = f"SET {', '.join(sets)} {ends}" if sets else ends
        self._update_unless_begun(recording, update=update, values=values, condition=condition)

    def park(self, recording: Recording, *, reason: ParkingReason, at: datetime) -> None:
        self._update_unless_begun(
            recording,
            update="SET due = :due, pending = :pending, parked = :reason, parked_at = if_not_exists(parked_at, :at)",
            values={
                ":due": to_rfc3339(recording.announced_at),
                ":pending": _parked_partition(reason),
                ":reason": reason,
                ":at": to_rfc3339(at),
            },
        )

    def parked(
        self, reason: ParkingReason, *, until: datetime, limit: int, newest_first: bool = False
    ) -> Iterable[Recording | UnreadableItem]:
        items = overdue_items(
            self._client,
            self._table,
            pending=_parked_partition(reason),
            now=until,
            limit=limit,
            noun="parked recordings",
            newest_first=newest_first,
        )
        return islice(convert_items(items, recording_from), limit)

    def _update_unless_begun(
        self, recording: Recording, *, update: str, values: Mapping[str, Any], condition: str = "attribute_exists(kind)"
    ) -> None:
        """Write to the recording if no attempt has begun or been withdrawn since it was read."""
        conditions, values = [condition], dict(values)
        for channel in Channel:
            begun = _count_attempts(recording, channel)
            count, value = f"begun_{channel.value}", f":{channel.value}"
            absent = f"attribute_not_exists({count}) OR " if not begun else ""
            conditions.append(f"({absent}{count} = {value})")
            values[value] = begun
        self._update(
            "schedule recording",
            recording.recording_id,
            update=update,
            condition=" AND ".join(conditions),
            values=values,
        )

    def find(self, query: ListingQuery) -> Page[Recording]:
        page = list_items(
            self._client,
            self._table,
            query,
            partition=ListPartition.by_client(LIST_PARTITION)
            if query.recipient is None
            else ListPartition.by_recipient(tel_partition(query.recipient)),
            pk_of=recording_pk,
            is_id=is_recording_id,
            noun="recordings",
        )
        return convert_page(page, recording_from)

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Recording | UnreadableItem]:
        items = overdue_items(self._client, self._table, pending=PENDING, now=now, limit=limit, noun="recordings")
        return convert_items(items, recording_from)

    def _set_if_absent(
        self, recording_id: str, values: Mapping[str, Any], *, condition: str | None = None
    ) -> Recording | None:
        """Set each attribute that has no value yet, leaving out None.

        Returns the recording after the write, or None if the condition was not met.
        """
        names = [name for name, value in values.items() if value is not None]
        sets = [f"#n{number} = if_not_exists(#n{number}, :v{number})" for number, _ in enumerate(names)]
        return self._update(
            "announce recording",
            recording_id,
            update="SET " + ", ".join(sets),
            condition=condition,
            names={f"#n{number}": name for number, name in enumerate(names)},
            values={f":v{number}": values[name] for number, name in enumerate(names)},
        )

    def _update(
        self,
        operation: str,
        recording_id: str,
        *,
        update: str,
        values: Mapping[str, Any],
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        is_repeated: Callable[[Item], bool] = lambda _item: False,
    ) -> Recording | None:
        """Return the recording after the update, or None if the condition was not met.

        `is_repeated` tells by the item if the same update was made before.
        """
        more: dict[str, Any] = {}
        if condition:
            more["ConditionExpression"] = condition
        if names:
            more["ExpressionAttributeNames"] = dict(names)
        updated, item = conditional_update(
            self._client,
            operation,
            TableName=self._table,
            Key=_key(recording_id),
            UpdateExpression=update,
            ExpressionAttributeValues=to_attributes(values),
            **more,
        )
        return recording_from(item) if updated or is_repeated(item) else None


def _parked_partition(reason: ParkingReason) -> str:
    return f"{PENDING}#{reason.value}"


def _fact_counter(ready_fact: ReadyFact) -> str:
    """Name the counter of this kind of ready fact. Facts from files leave the room for reports, and the other way."""
    return "files_announced" if ready_fact.by_file else "announced"


def _key(recording_id: str) -> dict[str, Any]:
    return to_attributes({"pk": recording_pk(recording_id)})


def _correction_name(correction: RoleCorrection) -> str:
    return f"{CORRECTION}{to_rfc3339(correction.at)}|{correction.left.value}"


def _count_attempts(recording: Recording, channel: Channel) -> int:
    return sum(attempt.channel is channel for attempt in recording.attempts)


def _require_recording(recording: Recording | None) -> Recording:
    """Return the recording that was just written to.

    Raises:
        StoreUnavailableError: the write found no recording.
    """
    if recording is None:
        raise StoreUnavailableError("update recording: no such recording")
    return recording

"""What is heard of calls, in the StateTable: each is one conditional write into its verification's item."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.domain.verification.verifications import CodeHash, IvrCallEvent
from switchboard.ports.verifications import IvrCallMatch, Lease
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import VERIFICATION, code_attribute, expiry, lease_key, message_key, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FITS = "#kind = :kind AND #recipient = :recipient AND #line = :line AND #mode = :mode"
_NAMES = {"#kind": "kind", "#recipient": "recipient", "#line": "line", "#mode": "mode"}


class DynamoDbIvrCallStore:
    """A IvrCallStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def lease(self, *, recipient: str, line: str) -> Lease | None:
        with store_errors("read lease"):
            answer = self._client.get_item(
                TableName=self._table, Key=lease_key(recipient=recipient, line=line), ConsistentRead=True
            )
        return lease_in(answer.get("Item"))

    def record_call(self, verification_id: str, notice: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        status = self._write(verification_id, notice, "called_at", "deadline > :seen", seen_at)
        if status is None:
            return IvrCallMatch.MATCHED
        if not status or status.get("kind", {}).get("S") != VERIFICATION:
            return IvrCallMatch.NO_CANDIDATE
        if any(status.get(name, {}).get("S") != value for name, value in _wanted(notice).items()):
            return IvrCallMatch.FOREIGN
        if "called_at" in status or "late_call_at" in status:
            return IvrCallMatch.DUPLICATE
        again = self._write(verification_id, notice, "late_call_at", "deadline <= :seen", seen_at)
        return IvrCallMatch.LATE if again is None else IvrCallMatch.DUPLICATE

    def shorten_lease(self, lease: Lease, *, recipient: str, line: str, until: datetime) -> None:
        shorten_lease(self._client, self._table, claim_id=lease.claim_id, recipient=recipient, line=line, until=until)

    def _write(
        self, verification_id: str, notice: IvrCallEvent, name: str, condition: str, seen_at: datetime
    ) -> Mapping[str, Any] | None:
        """None where it was written; otherwise the item as it stands, perhaps empty. The first time stays."""
        wanted = {f":{each}": value for each, value in _wanted(notice).items()}
        written, item = conditional_update(
            self._client,
            "record call",
            TableName=self._table,
            Key=message_key(verification_id),
            UpdateExpression=f"SET {name} = :seen",
            ConditionExpression=f"{_FITS} AND attribute_not_exists({name}) AND {condition}",
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues=to_attributes({":seen": to_rfc3339(seen_at), ":kind": VERIFICATION, **wanted}),
        )
        return None if written else item


class DynamoDbCodeStore:
    """A CodeStore over one table. `retention` is how long an item is kept after its first write."""

    def __init__(self, *, client: DynamoDBClient, table: str, retention: timedelta) -> None:
        self._client = client
        self._table = table
        self._retention = retention

    def record_code(self, verification_id: str, code: CodeHash) -> None:
        with store_errors("record code"):
            self._client.update_item(
                TableName=self._table,
                Key=message_key(verification_id),
                UpdateExpression=(
                    "SET #code = if_not_exists(#code, :code), expires_at = if_not_exists(expires_at, :expiry)"
                ),
                ExpressionAttributeNames={"#code": code_attribute(code.recipient)},
                ExpressionAttributeValues=to_attributes(
                    {
                        ":code": {"salt": code.salt.hex(), "digest": code.digest.hex(), "at": to_rfc3339(code.at)},
                        ":expiry": expiry(code.at, self._retention),
                    }
                ),
            )


def lease_in(item: Mapping[str, Any] | None) -> Lease | None:
    """The lease in an item."""
    if not item:
        return None
    return Lease(
        verification_id=item["verification_id"]["S"],
        claim_id=item["claim_id"]["S"],
        since=from_rfc3339(item["since"]["S"]),
        until=from_rfc3339(item["until"]["S"]),
    )


def shorten_lease(
    client: DynamoDBClient, table: str, *, claim_id: str, recipient: str, line: str, until: datetime
) -> None:
    """Ends the lease taken with this claim at `until`, if it would end later and is not another's by now."""
    conditional_update(
        client,
        "shorten lease",
        TableName=table,
        Key=lease_key(recipient=recipient, line=line),
        UpdateExpression="SET #until = :until",
        ConditionExpression="claim_id = :claim AND #until > :until",
        ExpressionAttributeNames={"#until": "until"},
        ExpressionAttributeValues=to_attributes({":until": to_rfc3339(until), ":claim": claim_id}),
    )


def _wanted(notice: IvrCallEvent) -> dict[str, str]:
    return {"recipient": notice.recipient, "line": notice.line, "mode": notice.mode.value}

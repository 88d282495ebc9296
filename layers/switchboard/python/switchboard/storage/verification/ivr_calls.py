"""Store IVR calls in the StateTable, in the item of their verification: each is one conditional write."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.domain.verification.callbacks import IvrCallEvent
from switchboard.ports.verifications import IvrCallMatch, Lease
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import VERIFICATION, Item, lease_key, message_key, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MATCHES: Final = "#kind = :kind AND #recipient = :recipient AND #line = :line AND #mode = :mode"
_NAMES: Final = {"#kind": "kind", "#recipient": "recipient", "#line": "line", "#mode": "mode"}


class DynamoDbIvrCallStore:
    """An IvrCallStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def lease(self, *, recipient: str, line: str) -> Lease | None:
        with store_errors("read lease"):
            response = self._client.get_item(
                TableName=self._table, Key=lease_key(recipient=recipient, line=line), ConsistentRead=True
            )
        return lease_from(response.get("Item"))

    def record_call(self, verification_id: str, event: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        in_time = "deadline > :seen AND attribute_not_exists(canceled_at)"
        existing = self._set_call_time(verification_id, event, "called_at", in_time, seen_at)
        if existing is None:
            return IvrCallMatch.MATCHED
        if not existing or existing.get("kind", {}).get("S") != VERIFICATION:
            return IvrCallMatch.NO_CANDIDATE
        if any(existing.get(name, {}).get("S") != value for name, value in _identifying_values(event).items()):
            return IvrCallMatch.FOREIGN
        if "called_at" in existing or "late_call_at" in existing:
            return IvrCallMatch.DUPLICATE
        late = "(deadline <= :seen OR attribute_exists(canceled_at))"
        existing = self._set_call_time(verification_id, event, "late_call_at", late, seen_at)
        return IvrCallMatch.LATE if existing is None else IvrCallMatch.DUPLICATE

    def shorten_lease(self, lease: Lease, *, recipient: str, line: str, until: datetime) -> None:
        shorten_lease(self._client, self._table, claim_id=lease.claim_id, recipient=recipient, line=line, until=until)

    def _set_call_time(
        self, verification_id: str, event: IvrCallEvent, attribute: str, condition: str, seen_at: datetime
    ) -> Item | None:
        """Set the attribute to `seen_at` if it has no value yet, and the call and `condition` match the verification.

        Returns:
            None if it was set, or else the existing item, which is empty if there is none.
        """
        identifying = {f":{name}": value for name, value in _identifying_values(event).items()}
        written, item = conditional_update(
            self._client,
            "record call",
            TableName=self._table,
            Key=message_key(verification_id),
            UpdateExpression=f"SET {attribute} = :seen",
            ConditionExpression=f"{_MATCHES} AND attribute_not_exists({attribute}) AND {condition}",
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues=to_attributes(
                {":seen": to_rfc3339(seen_at), ":kind": VERIFICATION, **identifying}
            ),
        )
        return None if written else item


def lease_from(item: Item | None) -> Lease | None:
    """Build the lease in an item, or return None if there is no item."""
    if not item:
        return None
    return Lease(
        verification_id=item["verification_id"]["S"],
        claim_id=item["claim_id"]["S"],
        since=from_rfc3339(item["since"]["S"]),
        until=from_rfc3339(item["until"]["S"]),
        released_to=item.get("released_to", {}).get("S"),
    )


def shorten_lease(
    client: DynamoDBClient,
    table: str,
    *,
    claim_id: str,
    recipient: str,
    line: str,
    until: datetime,
    released_to: str | None = None,
) -> None:
    """End the lease at `until`, if it was taken with this claim and would end later.

    Another verification of the client `released_to` may take the number and line before that.

    Raises:
        StoreUnavailableError: DynamoDB did not answer.
    """
    conditional_update(
        client,
        "shorten lease",
        TableName=table,
        Key=lease_key(recipient=recipient, line=line),
        UpdateExpression="SET #until = :until" + (", released_to = :client" if released_to else ""),
        ConditionExpression="claim_id = :claim AND #until > :until",
        ExpressionAttributeNames={"#until": "until"},
        ExpressionAttributeValues=to_attributes(
            {":until": to_rfc3339(until), ":claim": claim_id, ":client": released_to or None}
        ),
    )


def _identifying_values(event: IvrCallEvent) -> dict[str, str]:
    """Return the attributes of a verification that an IVR call must match."""
    return {"recipient": event.recipient, "line": event.line, "mode": event.mode.value}

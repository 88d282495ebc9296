"""Orders in the StateTable: one item each, every write conditional on nothing but what it must not overrule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, cast

from botocore.exceptions import ClientError

from switchboard.domain.orders import Claim, Deadlines, Outcome, OutcomeKind
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.orders import ClaimAnswer, OrderPage, R
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import expiry, to_attributes
from switchboard.storage.orders.indexes import check_position, id_in, items_behind
from switchboard.storage.orders.items import (
    Item,
    OrderCodec,
    claim_value,
    content_value,
    list_partition,
    order_from,
    order_item,
    outcome_value,
    pending_partition,
    recipient_partition,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A claim's update and its condition, over `_claim_values`.
CLAIM = "SET claims = list_append(claims, :claims), attempts = attempts + :one, due = :due"
MAY_CLAIM = "attempts = not_sent AND submit_before > :now AND attribute_not_exists(closed_at)"
BY_CLIENT, BY_RECIPIENT, BY_DUE = "by_client", "by_recipient", "by_due"
_LONGEST_ID = 50


class DynamoDbOrderStore(Generic[R]):
    """An OrderStore over one table. `retention` is how long an item is kept after its creation; `next_due` tells when
    an order must be looked at again."""

    def __init__(
        self,
        *,
        client: DynamoDBClient,
        table: str,
        codec: OrderCodec[R],
        deadlines: Deadlines,
        next_due: Callable[[R], datetime | None],
        retention: timedelta,
    ) -> None:
        self._client = client
        self._table = table
        self._codec = codec
        self._deadlines = deadlines
        self._next_due = next_due
        self._retention = retention
        self._pending = pending_partition(codec.kind)

    def create(self, order: R) -> ClaimAnswer[R]:
        with store_errors("create order"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=self._new_item(order),
                    ConditionExpression="attribute_not_exists(pk)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                return self._refusal(error, order.last_claim)
        return ClaimAnswer(granted=True, order=order)

    def claim(self, order_id: str, claim: Claim) -> ClaimAnswer[R]:
        return self._change(order_id, claim=claim, update=CLAIM, condition=MAY_CLAIM, values=self._claim_values(claim))

    def bind_key(self, key_id: str, order_id: str, *, at: datetime) -> bool:
        bound, _ = conditional_update(
            self._client,
            "bind key",
            TableName=self._table,
            Key=self._key(key_id),
            UpdateExpression="SET bound_to = :order_id, expires_at = if_not_exists(expires_at, :expiry)",
            ConditionExpression="attribute_not_exists(pk) OR bound_to = :order_id",
            ExpressionAttributeValues=to_attributes({":order_id": order_id, ":expiry": expiry(at, self._retention)}),
        )
        return bound

    def record_outcome(self, order: R, claim: Claim, outcome: Outcome, *, queue: bool = False) -> R:
        settled = replace(
            order,
            outcomes={**order.outcomes, claim.id: outcome},
            queued_at=order.queued_at or (outcome.at if queue else None),
        )
        due = self._next_due(settled)
        sets = ["outcomes.#claim = :outcome"]
        removes = []
        values: dict[str, Any] = {":outcome": outcome_value(outcome)}
        if outcome.kind is OutcomeKind.NOT_SENT:
            sets.append("not_sent = not_sent + :one")
            values[":one"] = 1
        again = outcome.kind is OutcomeKind.NOT_SENT and order.closed_at is None
        kept = queue or (again and self._codec.keeps_unsent_content)
        if kept and order.content is not None:
            # Written again: a silence may have been concluded meanwhile, and that forgets it.
            sets.append("content = :content")
            values[":content"] = content_value(order.content)
            if queue:
                sets.append("queued_at = if_not_exists(queued_at, :at)")
                values[":at"] = to_rfc3339(outcome.at)
        else:
            removes.append("content")
        if due is None:
            removes += ["due", "pending"]
        else:
            sets += ["due = :due", "pending = :pending"]
            values |= {":due": to_rfc3339(due), ":pending": self._pending}
        answer = self._change(
            order.id,
            update="SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else ""),
            condition="attribute_exists(kind) AND attribute_not_exists(outcomes.#claim)",
            names={"#claim": claim.id},
            values=values,
        )
        return answer.order or settled

    def record_timeout(self, order: R, *, at: datetime) -> None:
        claim = order.last_claim
        if claim is None:
            return
        due = self._next_due(replace(order, timeouts={**order.timeouts, claim.id: at})) or at
        self._change(
            order.id,
            update="SET timeouts.#claim = if_not_exists(timeouts.#claim, :at), due = :due REMOVE content",
            condition="attempts = :attempts AND attribute_not_exists(outcomes.#claim)",
            names={"#claim": claim.id},
            values={":at": to_rfc3339(at), ":due": to_rfc3339(due), ":attempts": len(order.claims)},
        )

    def record_closed(self, order: R, *, at: datetime) -> None:
        self._change(
            order.id,
            update="SET closed_at = if_not_exists(closed_at, :at) REMOVE content, due, pending",
            condition="attempts = :attempts",
            values={":at": to_rfc3339(at), ":attempts": len(order.claims)},
        )

    def postpone(self, order: R, *, until: datetime) -> None:
        self._change(
            order.id,
            update="SET due = :due",
            condition="attempts = :attempts AND pending = :pending",
            values={
                ":due": to_rfc3339(until),
                ":attempts": len(order.claims),
                ":pending": self._pending,
            },
        )

    def get(self, order_id: str) -> R | None:
        with store_errors("get order"):
            answer = self._client.get_item(TableName=self._table, Key=self._key(order_id), ConsistentRead=True)
        return self._order(answer.get("Item"))

    def find(
        self,
        *,
        client: str,
        recipient: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        position: str | None,
    ) -> OrderPage[R]:
        index, name, partition = BY_CLIENT, "list_partition", list_partition(self._codec.kind, client)
        if recipient is not None:
            index, name = BY_RECIPIENT, "recipient_partition"
            partition = recipient_partition(self._codec.kind, client=client, recipient=recipient)
        lowest = to_rfc3339(since) if since else ""
        highest = to_rfc3339(until) if until else "~"
        if position is not None:
            check_position(position, lowest=lowest, highest=highest, is_id=_is_id)
        if lowest >= highest:
            return OrderPage(orders=(), next_position=None)
        query: dict[str, Any] = {
            "KeyConditionExpression": "#partition = :partition AND list_position BETWEEN :since AND :until",
            "ExpressionAttributeNames": {"#partition": name},
            "ExpressionAttributeValues": to_attributes(
                {
                    ":partition": partition,
                    ":since": lowest or "0",
                    ":until": highest,
                }
            ),
        }
        if position is not None:
            query["ExclusiveStartKey"] = to_attributes(
                {"pk": self._codec.key(id_in(position)), name: partition, "list_position": position}
            )
        with store_errors("find orders"):
            answer = self._client.query(
                TableName=self._table, IndexName=index, Limit=limit, ScanIndexForward=False, **query
            )
        last = answer.get("LastEvaluatedKey")
        return OrderPage(
            orders=self._fetch(answer["Items"]),
            next_position=last["list_position"]["S"] if last else None,
        )

    def overdue(self, *, now: datetime, limit: int) -> Iterable[R]:
        with store_errors("find overdue"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=BY_DUE,
                KeyConditionExpression="pending = :pending AND due <= :now",
                ExpressionAttributeValues=to_attributes({":pending": self._pending, ":now": to_rfc3339(now)}),
                Limit=limit,
            )
        return self._fetch(answer["Items"])

    def _new_item(self, order: R) -> dict[str, Any]:
        return order_item(
            order, codec=self._codec, due=self._next_due(order), expires_at=expiry(order.created_at, self._retention)
        )

    def _claim_values(self, claim: Claim) -> dict[str, Any]:
        return {
            ":claims": [claim_value(claim)],
            ":one": 1,
            ":due": to_rfc3339(claim.at + self._deadlines.submission_after_claim),
            ":now": to_rfc3339(claim.at),
        }

    def _change(
        self,
        order_id: str,
        *,
        update: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
        claim: Claim | None = None,
    ) -> ClaimAnswer[R]:
        aliases: dict[str, Any] = {"ExpressionAttributeNames": dict(names)} if names else {}
        changed, item = conditional_update(
            self._client,
            "change order",
            TableName=self._table,
            Key=self._key(order_id),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeValues=to_attributes(values),
            **aliases,
        )
        return ClaimAnswer(granted=True, order=self._order(item)) if changed else self._refused_by(item, claim)

    def _fetch(self, entries: Iterable[Item]) -> list[R]:
        """The orders behind index entries, read consistently, in the entries' order."""
        items = items_behind(self._client, self._table, entries, operation="fetch orders")
        return [order for order in map(self._order, items) if order is not None]

    def _order(self, item: Item | None) -> R | None:
        return order_from(item, codec=self._codec)

    def _key(self, order_id: str) -> dict[str, Any]:
        return to_attributes({"pk": self._codec.key(order_id)})

    def _refusal(self, error: ClientError, claim: Claim | None) -> ClaimAnswer[R]:
        """What stood in a conditional write's way. Our own claim, written by a try that got no answer, is a grant."""
        if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
            raise error
        return self._refused_by(cast("Item", error.response.get("Item", {})), claim)

    def _refused_by(self, item: Item, claim: Claim | None) -> ClaimAnswer[R]:
        order = self._order(item)
        last = order.last_claim if order else None
        own = order is not None and claim is not None and last is not None and last.id == claim.id
        return ClaimAnswer(granted=own and order is not None and order.submission_open, order=order)


def _is_id(text: str) -> bool:
    """No kind of orders has longer ids, and DynamoDB refuses a key that is longer than it may be as it does a fault."""
    return len(text) <= _LONGEST_ID and text.isascii() and text.isalnum()

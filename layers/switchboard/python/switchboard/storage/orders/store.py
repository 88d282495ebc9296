"""Store orders in the StateTable, one item for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol

from switchboard.domain.order_ids import is_order_id
from switchboard.domain.orders import Claim, Deadlines, Outcome, OutcomeKind, find_answer_time
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.ports.listing import ListingQuery, Page, UnreadableItem
from switchboard.ports.orders import ClaimAnswer, R
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import (
    Item,
    day_partition,
    decoding_errors,
    expiry,
    from_attributes,
    pending_partition,
    pending_partitions,
    require_type,
    set_all,
    suppression_key,
    to_attributes,
)
from switchboard.storage.orders.indexes import (
    ListPartition,
    convert_items,
    convert_page,
    list_items,
    overdue_in_shards,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TEXTS: Final = ("id", "client", "recipient", "fingerprint")
_TIMES: Final = ("created_at", "submit_before", "send_at", "queued_at", "canceled_at", "closed_at")

# The update and the condition of a claim; `_claim_values` gives their values.
CLAIM: Final = (
    "SET claims = list_append(claims, :claims), attempts = attempts + :one, due = :due, expires_at = :expires_at"
)
OVER_LIMIT_RETENTION: Final = timedelta(hours=1)
"""The time for which an order is kept that a usage limit has refused, and that no repeated request has claimed."""
IS_UNSENT: Final = "attempts = not_sent AND submit_before > :now AND attribute_not_exists(closed_at)"
"""The condition of an order of which nothing was sent, and which is not over at `:now`."""
MAY_CLAIM: Final = f"{IS_UNSENT} AND (attribute_not_exists(send_at) OR send_at <= :now)"

# The condition of a new order. What a provider has reported under its id does not take the id.
ID_IS_FREE: Final = "attribute_not_exists(kind) AND attribute_not_exists(bound_to)"


class OrderCodec(Protocol[R]):
    """The part of the conversion that differs from one kind of orders to another.

    Kinds whose ids must not meet have the same `key_prefix`.
    """

    kind: str
    key_prefix: str
    is_listed: bool = True
    keeps_unsent_content: bool = False
    """Whether the content is kept after an attempt that sent nothing, so that the next attempt sends the same bytes."""

    def keeps_content(self, order: R) -> bool:  # noqa: ARG002 - most kinds keep none
        """Return whether the content is kept until the order is closed, because more than this submission needs it."""
        return False

    def key(self, order_id: str) -> str:
        """Return the table's key of the order with this id."""
        return f"{self.key_prefix}#{order_id}"

    def kind_values(self, order: R) -> Mapping[str, Any]:
        """Return the facts that only this kind has, as plain values. None is left out of the item."""
        ...

    def order_from(self, values: Mapping[str, Any], common: Mapping[str, Any]) -> R:
        """Build the order from its item's values and from `common`, the members of all kinds except `content`."""
        ...


class DynamoDbOrderStore(Generic[R]):
    """An OrderStore over one table. Each write's condition excludes only what the write must not overrule.

    An item is kept for `retention` after its creation or `send_at`, and after its newest claim, but only for
    OVER_LIMIT_RETENTION once a usage limit has refused it: a flood of refused requests costs no storage. The same holds
    for an idempotency key that is bound to a chosen id. `next_due` returns when the sweep must look at an order again.
    """

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

    def create(self, order: R) -> ClaimAnswer[R]:
        created, existing = conditional_update(
            self._client,
            "create order",
            TableName=self._table,
            ConditionExpression=ID_IS_FREE,
            **set_all(self._new_item(order)),
        )
        return ClaimAnswer(granted=True, order=order) if created else self._refuse_claim(existing, order.last_claim)

    def claim(self, order_id: str, claim: Claim) -> ClaimAnswer[R]:
        return self._change(order_id, claim=claim, update=CLAIM, condition=MAY_CLAIM, values=self._claim_values(claim))

    def is_suppressed(self, recipient: str) -> bool:
        with store_errors("read suppression"):
            response = self._client.get_item(TableName=self._table, Key=suppression_key(recipient), ConsistentRead=True)
        # The item of a suppression that has ended stays.
        return "created_at" in response.get("Item", {})

    def bind_key(self, key_id: str, order_id: str, *, client: str, at: datetime) -> bool:
        bound, _ = conditional_update(
            self._client,
            "bind key",
            TableName=self._table,
            Key=self._key(key_id),
            UpdateExpression="SET bound_to = :order_id, client = :client, bound_at = :at, expires_at = :expiry",
            ConditionExpression=f"({ID_IS_FREE}) OR bound_to = :order_id",
            ExpressionAttributeValues=to_attributes(
                {
                    ":order_id": order_id,
                    ":client": client,
                    ":at": to_rfc3339(at),
                    ":expiry": expiry(at, self._retention),
                }
            ),
        )
        return bound

    def release_key(self, key_id: str, *, bound_at: datetime) -> None:
        conditional_update(
            self._client,
            "release key",
            TableName=self._table,
            Key=self._key(key_id),
            UpdateExpression="SET expires_at = :expiry",
            ConditionExpression="bound_at = :at",
            ExpressionAttributeValues=to_attributes(
                {":at": to_rfc3339(bound_at), ":expiry": expiry(bound_at, OVER_LIMIT_RETENTION)}
            ),
        )

    def record_outcome(self, order: R, claim: Claim, outcome: Outcome, *, queue: bool = False) -> R:
        decided = replace(
            order,
            outcomes={**order.outcomes, claim.id: outcome},
            queued_at=order.queued_at or (outcome.at if queue else None),
        )
        due = self._next_due(decided)
        sets = ["outcomes.#claim = :outcome"]
        removes = []
        values: dict[str, Any] = {":outcome": outcome_value(outcome)}
        if outcome.over_limit:
            # Nothing was sent under any claim, so that a later request under this id may be a new order.
            sets.append("expires_at = :expires_at")
            values[":expires_at"] = expiry(outcome.at, OVER_LIMIT_RETENTION)
        if outcome.kind is OutcomeKind.NOT_SENT:
            sets.append("not_sent = not_sent + :one")
            values[":one"] = 1
        may_submit_again = outcome.kind is OutcomeKind.NOT_SENT and order.closed_at is None
        is_reusable = may_submit_again and self._codec.keeps_unsent_content
        keeps_content = queue or is_reusable or self._codec.keeps_content(order)
        if keeps_content and order.content is not None:
            # The content is written again, because a time-out recorded meanwhile removes it.
            sets.append("content = :content")
            values[":content"] = content_value(order.content)
            if queue:
                sets.append("queued_at = if_not_exists(queued_at, :at)")
                values[":at"] = to_rfc3339(outcome.at)
        else:
            removes.append("content")
        if due is None:
            removes += ["due", "pending"]
        elif not self._comes_early_enough(claim, outcome, due):
            sets += ["due = :due", "pending = :pending"]
            values |= {":due": to_rfc3339(due), ":pending": self._pending_partition(order.id)}
        answer = self._change(
            order.id,
            update="SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else ""),
            condition="attribute_exists(kind) AND attribute_not_exists(outcomes.#claim)",
            names={"#claim": claim.id},
            values=values,
        )
        return answer.order or decided

    def record_timeout(self, order: R, *, at: datetime) -> None:
        claim = order.last_claim
        if claim is None:
            return
        due = self._next_due(replace(order, timeouts={**order.timeouts, claim.id: at})) or at
        update = "SET timeouts.#claim = if_not_exists(timeouts.#claim, :at), due = :due"
        self._reconcile(
            order.id,
            update=update if self._codec.keeps_content(order) else f"{update} REMOVE content",
            condition="attempts = :attempts AND attribute_not_exists(outcomes.#claim)",
            names={"#claim": claim.id},
            values={":at": to_rfc3339(at), ":due": to_rfc3339(due), ":attempts": len(order.claims)},
        )

    def record_closed(self, order: R, *, at: datetime) -> None:
        self._reconcile(
            order.id,
            update="SET closed_at = if_not_exists(closed_at, :at) REMOVE content, due, pending",
            condition="attempts = :attempts",
            values={":at": to_rfc3339(at), ":attempts": len(order.claims)},
        )

    def postpone(self, order: R, *, until: datetime) -> None:
        self._reconcile(
            order.id,
            update="SET due = :due",
            condition="attempts = :attempts AND attribute_exists(pending)",
            values={":due": to_rfc3339(until), ":attempts": len(order.claims)},
        )

    def get(self, order_id: str) -> R | None:
        with store_errors("get order"):
            response = self._client.get_item(TableName=self._table, Key=self._key(order_id), ConsistentRead=True)
        return self._order_from(response.get("Item"))

    def answered_at(self, order_id: str) -> datetime | None:
        with store_errors("read outcomes"):
            response = self._client.get_item(
                TableName=self._table,
                Key=self._key(order_id),
                ProjectionExpression="attempts, outcomes",
                ConsistentRead=True,
            )
        item = from_attributes(response.get("Item", {}))
        with decoding_errors("outcomes"):
            outcomes = {claim_id: _outcome_from(value) for claim_id, value in item.get("outcomes", {}).items()}
        return find_answer_time(int(item.get("attempts", 0)), outcomes)

    def find(self, query: ListingQuery, *, client: str) -> Page[R]:
        kind, recipient = self._codec.kind, query.recipient
        page = list_items(
            self._client,
            self._table,
            query,
            partition=ListPartition.by_client(list_partition(kind, client))
            if recipient is None
            else ListPartition.by_recipient(recipient_partition(kind, client=client, recipient=recipient)),
            pk_of=self._codec.key,
            is_id=is_order_id,
            noun="orders",
        )
        return convert_page(page, self._order_from)

    def overdue(self, *, now: datetime, limit: int) -> Iterable[R | UnreadableItem]:
        shards = pending_partitions(self._codec.kind)
        items = overdue_in_shards(self._client, self._table, shards, now=now, limit=limit, noun="orders")
        return convert_items(items, self._order_from)

    def _comes_early_enough(self, claim: Claim, outcome: Outcome, due: datetime) -> bool:
        """Return whether the claim's entry in the deadlines' index may stay, which saves two index writes.

        Most accepted orders are decided within minutes, and what decides them removes the entry. For the others the
        sweep finds the entry and sets the later time.
        """
        return outcome.kind is OutcomeKind.ACCEPTED and claim.at + self._deadlines.submission_after_claim <= due

    def _new_item(self, order: R) -> dict[str, Any]:
        kept_from = order.send_at or order.created_at
        return order_item(
            order, codec=self._codec, due=self._next_due(order), expires_at=expiry(kept_from, self._retention)
        )

    def _claim_values(self, claim: Claim) -> dict[str, Any]:
        return {
            ":claims": [claim_value(claim)],
            ":one": 1,
            ":due": to_rfc3339(claim.at + self._deadlines.submission_after_claim),
            ":now": to_rfc3339(claim.at),
            ":expires_at": expiry(claim.at, self._retention),
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
        changed, item = conditional_update(
            self._client, "change order", **self._update(order_id, update, condition, values, names)
        )
        return ClaimAnswer(granted=True, order=self._order_from(item)) if changed else self._refuse_claim(item, claim)

    def _update(
        self,
        order_id: str,
        update: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        """Return UpdateItem's arguments."""
        return {
            "TableName": self._table,
            "Key": self._key(order_id),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": to_attributes(values),
            **({"ExpressionAttributeNames": dict(names)} if names else {}),
        }

    def _reconcile(
        self,
        order_id: str,
        *,
        update: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Make one of the sweep's writes, which needs no item back, unless the condition is not met."""
        conditional_update(
            self._client, "change order", wants_item=False, **self._update(order_id, update, condition, values, names)
        )

    def _order_from(self, item: Item | None) -> R | None:
        return order_from(item, codec=self._codec)

    def _key(self, order_id: str) -> dict[str, Any]:
        return to_attributes({"pk": self._codec.key(order_id)})

    def _pending_partition(self, order_id: str) -> str:
        return pending_partition(self._codec.kind, self._codec.key(order_id))

    def _refuse_claim(self, existing: Item, claim: Claim | None) -> ClaimAnswer[R]:
        """Refuse a claim because of the existing item.

        The claim is granted all the same if it stands in that item and is still open: an earlier try of this write
        succeeded and its response was lost.
        """
        order = self._order_from(existing)
        last_claim = order.last_claim if order else None
        is_same_claim = claim is not None and last_claim is not None and last_claim.id == claim.id
        return ClaimAnswer(
            granted=order is not None and is_same_claim and order.submission_open,
            order=order,
            owner=existing.get("client", {}).get("S"),
        )


def list_partition(kind: str, client: str) -> str:
    """Return the partition of a client's orders of this kind."""
    return f"{kind}#{client}"


def recipient_partition(kind: str, *, client: str, recipient: str) -> str:
    """Return the partition of a client's orders of this kind to one number."""
    return f"{kind}#{client}#{recipient}"


def claim_value(claim: Claim) -> dict[str, str]:
    """Convert a claim to a plain value."""
    return {"id": claim.id, "at": to_rfc3339(claim.at)}


def outcome_value(outcome: Outcome) -> dict[str, Any]:
    """Convert an outcome to a plain value."""
    value: dict[str, Any] = {"kind": outcome.kind.value, "at": to_rfc3339(outcome.at)}
    if outcome.provider_code is not None:
        value["code"] = outcome.provider_code
    if outcome.facts:
        value["facts"] = dict(outcome.facts)
    if outcome.over_limit:
        value["over_limit"] = True
    if outcome.suppressed:
        value["suppressed"] = True
    return value


def content_value(content: Any) -> dict[str, Any]:
    """Convert the content of any kind, a dataclass, to a plain value without its None members."""
    return {name: value for name, value in asdict(content).items() if value is not None}


def order_item(order: R, *, codec: OrderCodec[R], due: datetime | None, expires_at: int) -> dict[str, Any]:
    """Build the item of a new order.

    The item has empty maps for later writes to add to, so that those writes need no read. The sort key of the listing
    indexes, `list_position`, is unique and orders by time.
    """
    pk, created_at = codec.key(order.id), to_rfc3339(order.created_at)
    list_position = f"{created_at}#{order.id}"
    listing = {
        "list_partition": list_partition(codec.kind, order.client),
        "recipient_partition": recipient_partition(codec.kind, client=order.client, recipient=order.recipient),
        "list_position": list_position,
        "day_partition": day_partition(codec.kind, pk, list_position),
    }
    return to_attributes(
        {
            "pk": pk,
            "kind": codec.kind,
            "id": order.id,
            "client": order.client,
            "recipient": order.recipient,
            **(listing if codec.is_listed else {}),
            "fingerprint": order.fingerprint,
            "reference": order.reference,
            "created_at": created_at,
            "submit_before": to_rfc3339(order.submit_before),
            "content": content_value(order.content) if order.content is not None else None,
            "claims": [claim_value(claim) for claim in order.claims],
            "attempts": len(order.claims),
            "not_sent": 0,
            "outcomes": {},
            "timeouts": {},
            "send_at": to_rfc3339(order.send_at) if order.send_at else None,
            "queued_at": to_rfc3339(order.queued_at) if order.queued_at else None,
            "pending": pending_partition(codec.kind, pk) if due else None,
            "due": to_rfc3339(due) if due else None,
            "expires_at": expires_at,
            **codec.kind_values(order),
        }
    )


def order_from(item: Item | None, *, codec: OrderCodec[R]) -> R | None:
    """Build the order in an item.

    Returns None if the item holds no order of this kind. An item may hold only reports, for an id that is not ours.

    Raises:
        UnreadableItemError: this version cannot read the item.
    """
    if not item or item.get("kind", {}).get("S") != codec.kind:
        return None
    with decoding_errors("order"):
        return _build_order(item, codec)


def _build_order(item: Item, codec: OrderCodec[R]) -> R:
    values = from_attributes(item)
    claims, content = values["claims"], values.get("content") or {}
    require_type(str, *(values[name] for name in _TEXTS), *(claim["id"] for claim in claims))
    require_type(str | None, values.get("reference"), *content.values())
    if values["pk"] != codec.key(values["id"]) or values["attempts"] != len(claims):
        # No write would find this item, or meet its condition.
        raise ValueError
    return codec.order_from(
        values,
        {
            "id": values["id"],
            "client": values["client"],
            "recipient": values["recipient"],
            "fingerprint": values["fingerprint"],
            "reference": values.get("reference"),
            "claims": tuple(Claim(id=claim["id"], at=from_rfc3339(claim["at"])) for claim in claims),
            "outcomes": {claim_id: _outcome_from(value) for claim_id, value in values["outcomes"].items()},
            "timeouts": {claim_id: from_rfc3339(at) for claim_id, at in values["timeouts"].items()},
            **{name: from_rfc3339(values[name]) for name in _TIMES if name in values},
        },
    )


def optional_int(value: Any) -> int | None:
    """Convert DynamoDB's number to an integer, or return None if there is none."""
    return None if value is None else int(value)


def _outcome_from(value: Mapping[str, Any]) -> Outcome:
    require_type(str | None, value.get("code"))
    require_type(str, *value.get("facts", {}).values())
    return Outcome(
        kind=OutcomeKind(value["kind"]),
        at=from_rfc3339(value["at"]),
        provider_code=value.get("code"),
        facts=value.get("facts", {}),
        over_limit=value.get("over_limit", False),
        suppressed=value.get("suppressed", False),
    )

"""Messages in the StateTable: one item each, every write conditional on nothing but what it must not overrule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.instants import from_rfc3339, to_rfc3339
from switchboard.domain.messages import Claim, Deadlines, Message, Outcome, OutcomeKind, next_due
from switchboard.ports.messages import ClaimAnswer, MessagePage
from switchboard.storage.aws import store_errors
from switchboard.storage.items import message_key, to_attributes
from switchboard.storage.message_items import (
    OPEN,
    Item,
    claim_value,
    content_value,
    message_from,
    message_item,
    outcome_value,
    recipient_partition,
)
from switchboard.storage.reports import DynamoDbReportStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_CLIENT, BY_RECIPIENT, BY_DUE = "by_client", "by_recipient", "by_due"
_POSITION_LENGTH = 24 + 1
_BATCH_GET_LIMIT = 100


class DynamoDbMessageStore(DynamoDbReportStore):
    """A MessageStore over one table. `retention` is how long an item is kept after its creation."""

    def __init__(self, *, client: DynamoDBClient, table: str, deadlines: Deadlines, retention: timedelta) -> None:
        super().__init__(client=client, table=table, retention=retention)
        self._deadlines = deadlines

    def create(self, message: Message) -> ClaimAnswer:
        item = message_item(message, due=self._due(message), expires_at=self._expiry(message.created_at))
        with store_errors("create message"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(pk)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                return _refusal(error, message.last_claim)
        return ClaimAnswer(granted=True, message=message)

    def claim(self, smsid: str, claim: Claim) -> ClaimAnswer:
        due = claim.at + self._deadlines.submission_after_claim
        return self._change(
            smsid,
            claim=claim,
            update="SET claims = list_append(claims, :claims), attempts = attempts + :one, due = :due",
            condition="attempts = not_sent AND submit_before > :now AND attribute_not_exists(closed_at)",
            values={
                ":claims": [claim_value(claim)],
                ":one": 1,
                ":due": to_rfc3339(due),
                ":now": to_rfc3339(claim.at),
            },
        )

    def bind_key(self, key_id: str, smsid: str, *, at: datetime) -> bool:
        with store_errors("bind key"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=message_key(key_id),
                    UpdateExpression="SET bound_to = :smsid, expires_at = if_not_exists(expires_at, :expiry)",
                    ConditionExpression="attribute_not_exists(pk) OR bound_to = :smsid",
                    ExpressionAttributeValues=to_attributes({":smsid": smsid, ":expiry": self._expiry(at)}),
                )
            except ClientError as error:
                _refusal(error, None)
                return False
        return True

    def record_outcome(self, message: Message, claim: Claim, outcome: Outcome, *, queue: bool = False) -> Message:
        settled = replace(
            message,
            outcomes={**message.outcomes, claim.id: outcome},
            queued_at=message.queued_at or (outcome.at if queue else None),
        )
        due = self._due(settled)
        sets = ["outcomes.#claim = :outcome"]
        removes = []
        values: dict[str, Any] = {":outcome": outcome_value(outcome)}
        if outcome.kind is OutcomeKind.NOT_SENT:
            sets.append("not_sent = not_sent + :one")
            values[":one"] = 1
        if queue and message.content is not None:
            sets += ["queued_at = if_not_exists(queued_at, :at)", "content = :content"]
            values |= {":at": to_rfc3339(outcome.at), ":content": content_value(message.content)}
        else:
            removes.append("content")
        if due is None:
            removes += ["due", "obligation"]
        else:
            sets += ["due = :due", "obligation = :open"]
            values |= {":due": to_rfc3339(due), ":open": OPEN}
        answer = self._change(
            message.smsid,
            update="SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else ""),
            condition="attribute_exists(fingerprint) AND attribute_not_exists(outcomes.#claim)",
            names={"#claim": claim.id},
            values=values,
        )
        return answer.message or settled

    def record_silence(self, message: Message, *, at: datetime) -> None:
        claim = message.last_claim
        if claim is None:
            return
        due = claim.at + self._deadlines.delivery_after_claim
        self._change(
            message.smsid,
            update="SET silences.#claim = if_not_exists(silences.#claim, :at), due = :due REMOVE content",
            condition="attempts = :attempts AND attribute_not_exists(outcomes.#claim)",
            names={"#claim": claim.id},
            values={":at": to_rfc3339(at), ":due": to_rfc3339(due), ":attempts": len(message.claims)},
        )

    def record_closed(self, message: Message, *, at: datetime) -> None:
        self._change(
            message.smsid,
            update="SET closed_at = if_not_exists(closed_at, :at) REMOVE content, due, obligation",
            condition="attempts = :attempts",
            values={":at": to_rfc3339(at), ":attempts": len(message.claims)},
        )

    def postpone(self, message: Message, *, until: datetime) -> None:
        self._change(
            message.smsid,
            update="SET due = :due",
            condition="attempts = :attempts AND obligation = :open",
            values={":due": to_rfc3339(until), ":attempts": len(message.claims), ":open": OPEN},
        )

    def get(self, smsid: str) -> Message | None:
        with store_errors("get message"):
            answer = self._client.get_item(TableName=self._table, Key=message_key(smsid), ConsistentRead=True)
        return message_from(answer.get("Item"))

    def find(
        self,
        *,
        client: str,
        recipient: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        position: str | None,
    ) -> MessagePage:
        index, name, partition = BY_CLIENT, "client", client
        if recipient is not None:
            index, name = BY_RECIPIENT, "client_recipient"
            partition = recipient_partition(client=client, recipient=recipient)
        lowest = to_rfc3339(since) if since else ""
        highest = to_rfc3339(until) if until else "~"
        if position is not None:
            _check_position(position, lowest=lowest, highest=highest)
        if lowest >= highest:
            return MessagePage(messages=(), next_position=None)
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
                {"pk": f"SMS#{position[_POSITION_LENGTH:]}", name: partition, "list_position": position}
            )
        with store_errors("find messages"):
            answer = self._client.query(
                TableName=self._table, IndexName=index, Limit=limit, ScanIndexForward=False, **query
            )
        last = answer.get("LastEvaluatedKey")
        return MessagePage(
            messages=self._fetch(answer["Items"]),
            next_position=last["list_position"]["S"] if last else None,
        )

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Message]:
        with store_errors("find overdue"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=BY_DUE,
                KeyConditionExpression="obligation = :open AND due <= :now",
                ExpressionAttributeValues=to_attributes({":open": OPEN, ":now": to_rfc3339(now)}),
                Limit=limit,
            )
        return self._fetch(answer["Items"])

    def _change(
        self,
        smsid: str,
        *,
        update: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
        claim: Claim | None = None,
    ) -> ClaimAnswer:
        aliases: dict[str, Any] = {"ExpressionAttributeNames": dict(names)} if names else {}
        with store_errors("change message"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=message_key(smsid),
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=to_attributes(values),
                    **aliases,
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                return _refusal(error, claim)
        return ClaimAnswer(granted=True, message=message_from(answer["Attributes"]))

    def _fetch(self, keys: Iterable[Item]) -> list[Message]:
        """The items behind index entries, read consistently, in the entries' order."""
        wanted = [{"pk": entry["pk"]} for entry in keys]
        found: dict[str, Message] = {}
        pending = wanted
        while pending:
            batch, pending = pending[:_BATCH_GET_LIMIT], pending[_BATCH_GET_LIMIT:]
            with store_errors("fetch messages"):
                answer = self._client.batch_get_item(
                    RequestItems={self._table: {"Keys": batch, "ConsistentRead": True}}
                )
            for item in answer["Responses"].get(self._table, []):
                message = message_from(item)
                if message is not None:
                    found[item["pk"]["S"]] = message
            unread = answer.get("UnprocessedKeys", {}).get(self._table)
            pending += list(unread["Keys"]) if unread else []
        return [found[entry["pk"]["S"]] for entry in wanted if entry["pk"]["S"] in found]

    def _due(self, message: Message) -> datetime | None:
        return next_due(message, deadlines=self._deadlines)


def _check_position(position: str, *, lowest: str, highest: str) -> None:
    """The index takes only positions of its own shape and within the range asked for."""
    instant, hash_sign, smsid = (
        position[: _POSITION_LENGTH - 1],
        position[_POSITION_LENGTH - 1 :][:1],
        position[_POSITION_LENGTH:],
    )
    try:
        handed_out = to_rfc3339(from_rfc3339(instant)) == instant and hash_sign == "#"
    except (ValueError, OverflowError):
        handed_out = False
    if not (handed_out and smsid.isascii() and smsid.isalnum() and lowest <= position < highest):
        raise InvalidRequestError(FieldProblem("cursor", "is not one that was handed out here", code="invalid_cursor"))


def _refusal(error: ClientError, claim: Claim | None) -> ClaimAnswer:
    """What stood in the way of a conditional write. Our own claim, written by a try that got no answer, is a grant."""
    if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
        raise error
    message = message_from(cast("Item", error.response.get("Item", {})))
    last = message.last_claim if message else None
    own = message is not None and claim is not None and last is not None and last.id == claim.id
    return ClaimAnswer(granted=own and message is not None and message.submission_open, message=message)

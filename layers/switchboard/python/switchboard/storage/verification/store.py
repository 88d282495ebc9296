"""Verifications in the StateTable: orders, whose claims take a number and a line as a lease in the same transaction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from switchboard.domain.errors import StoreUnavailableError, VerificationOpenError
from switchboard.domain.orders import Claim, Deadlines, Outcome, OutcomeKind
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.domain.verification.verifications import (
    MAX_ATTEMPTS,
    CodeHash,
    Verification,
    VerificationLines,
    VerificationMode,
    deadline_of,
    next_due,
)
from switchboard.ports.orders import ClaimAnswer
from switchboard.storage.aws import store_errors
from switchboard.storage.items import CODE, SMSID_PREFIX, VERIFICATION, expiry, lease_key, to_attributes
from switchboard.storage.orders.items import OrderCodec, instant
from switchboard.storage.orders.store import CLAIM, MAY_CLAIM, DynamoDbOrderStore
from switchboard.storage.verification.ivr_calls import lease_in, shorten_lease

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_FREE = "attribute_not_exists(pk) OR #until <= :now OR verification_id = :id"
# Others' writes into the same items make a transaction fail; it is over in milliseconds.
_TRIES = 3
_LEASE_KEPT = timedelta(days=1)


class VerificationCodec(OrderCodec[Verification]):
    """What only verifications have in their items."""

    kind = VERIFICATION
    key_prefix = SMSID_PREFIX

    def kind_values(self, order: Verification) -> Mapping[str, Any]:
        return {
            "mode": order.mode.value,
            "line": order.line,
            "lines": order.lines.value,
            "holding_minutes": order.holding_minutes,
            "repeat_calls": order.repeat_calls,
            "deadline": to_rfc3339(order.expires_at),
        }

    def order_from(self, values: Mapping[str, Any], common: Mapping[str, Any]) -> Verification:
        content, repeats = values.get("content"), values.get("repeat_calls")
        return Verification(
            **common,
            content=SmsContent(**content) if content else None,
            mode=VerificationMode(values["mode"]),
            line=values["line"],
            lines=VerificationLines(values["lines"]),
            holding_minutes=int(values["holding_minutes"]),
            repeat_calls=None if repeats is None else int(repeats),
            called_at=instant(values.get("called_at")),
            late_call_at=instant(values.get("late_call_at")),
            codes=tuple(_code(name, value) for name, value in sorted(values.items()) if name.startswith(CODE)),
            attempts_used=int(values.get("attempts_used", 0)),
            checked_at=instant(values.get("checked_at")),
        )


class DynamoDbVerificationStore(DynamoDbOrderStore[Verification]):
    """A VerificationStore over one table. `grace` is how long after a verification's deadline nobody else gets its
    number and line: a callback that is no later than that can be told from the next one's."""

    def __init__(
        self, *, client: DynamoDBClient, table: str, deadlines: Deadlines, grace: timedelta, retention: timedelta
    ) -> None:
        super().__init__(
            client=client,
            table=table,
            codec=VerificationCodec(),
            deadlines=deadlines,
            next_due=lambda verification: next_due(verification, deadlines=deadlines),
            retention=retention,
        )
        self._grace = grace

    def create(self, order: Verification) -> ClaimAnswer[Verification]:
        claim = order.last_claim
        if claim is None or order.mode is VerificationMode.CALL_OUT:
            return super().create(order)
        put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table,
                "Item": self._new_item(order),
                "ConditionExpression": "attribute_not_exists(pk)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        refusal = self._with_lease(order, claim, put)
        return refusal or ClaimAnswer(granted=True, order=order)

    def claim(self, order_id: str, claim: Claim) -> ClaimAnswer[Verification]:
        order = self.get(order_id)
        if order is None:
            return ClaimAnswer(granted=False, order=None)
        update = CLAIM + ", deadline = :deadline"
        values = {**self._claim_values(claim), ":deadline": to_rfc3339(deadline_of(order, claim))}
        if order.mode is VerificationMode.CALL_OUT:
            return self._change(order_id, claim=claim, update=update, condition=MAY_CLAIM, values=values)
        change: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": self._key(order_id),
                "UpdateExpression": update,
                "ConditionExpression": MAY_CLAIM,
                "ExpressionAttributeValues": to_attributes(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        refusal = self._with_lease(order, claim, change)
        return refusal or ClaimAnswer(granted=True, order=replace(order, claims=(*order.claims, claim)))

    def record_outcome(
        self, order: Verification, claim: Claim, outcome: Outcome, *, queue: bool = False
    ) -> Verification:
        written = super().record_outcome(order, claim, outcome, queue=queue)
        untaken = outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.REJECTED}
        if untaken and order.mode is not VerificationMode.CALL_OUT:
            # A lease that cannot be ended now ends by itself; how the attempt ended is written down already.
            with suppress(StoreUnavailableError):
                shorten_lease(
                    self._client,
                    self._table,
                    claim_id=claim.id,
                    recipient=order.recipient,
                    line=order.line,
                    until=claim.at,
                )
        return written

    def count_attempt(self, verification_id: str) -> Verification | None:
        answer = self._change(
            verification_id,
            update="SET attempts_used = if_not_exists(attempts_used, :none) + :one",
            condition="#kind = :kind AND (attribute_not_exists(attempts_used) OR attempts_used < :most)",
            names={"#kind": "kind"},
            values={":none": 0, ":one": 1, ":most": MAX_ATTEMPTS, ":kind": VERIFICATION},
        )
        return answer.order if answer.granted else None

    def record_checked(self, verification_id: str, *, at: datetime) -> Verification | None:
        answer = self._change(
            verification_id,
            update="SET checked_at = if_not_exists(checked_at, :at)",
            condition="#kind = :kind AND deadline > :at",
            names={"#kind": "kind"},
            values={":kind": VERIFICATION, ":at": to_rfc3339(at)},
        )
        return answer.order if answer.granted else None

    def _with_lease(
        self, order: Verification, claim: Claim, change: TransactWriteItemTypeDef
    ) -> ClaimAnswer[Verification] | None:
        """Makes the change and takes the lease, both or neither; None where it was done. What stands in the change's
        way comes before what stands in the lease's: it may be this very claim, whose answer was lost."""
        lease: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table,
                "Item": self._lease_item(order, claim),
                "ConditionExpression": _FREE,
                "ExpressionAttributeNames": {"#until": "until"},
                "ExpressionAttributeValues": to_attributes({":now": to_rfc3339(claim.at), ":id": order.id}),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        for left in reversed(range(_TRIES)):
            with store_errors("claim with lease"):
                try:
                    self._client.transact_write_items(TransactItems=[change, lease])
                except ClientError as error:
                    if left and _conflicts(error):
                        continue
                    return self._cancelled(claim, error)
                return None
        raise AssertionError("the last try ends in an answer or an error")

    def _cancelled(self, claim: Claim, error: ClientError) -> ClaimAnswer[Verification]:
        reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]  # not in the stubs of errors
        codes = [reason.get("Code") for reason in reasons]
        if len(codes) == 2 and codes[0] == "ConditionalCheckFailed":
            return self._refused_by(reasons[0].get("Item", {}), claim)
        if len(codes) == 2 and codes[1] == "ConditionalCheckFailed":
            other = lease_in(reasons[1].get("Item"))
            left = math.ceil((other.until - claim.at).total_seconds()) if other else 1
            raise VerificationOpenError("another verification has this number and line", {}, retry_after_s=left)
        raise error

    def _lease_item(self, order: Verification, claim: Claim) -> dict[str, Any]:
        until = deadline_of(order, claim) + self._grace
        values = {
            "verification_id": order.id,
            "claim_id": claim.id,
            "since": to_rfc3339(claim.at),
            "until": to_rfc3339(until),
            "expires_at": expiry(until, _LEASE_KEPT),
        }
        return {**lease_key(recipient=order.recipient, line=order.line), **to_attributes(values)}


def _conflicts(error: ClientError) -> bool:
    """Somebody else was writing one of the items, and no condition has failed."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]  # as above
    codes = {reason.get("Code") for reason in reasons} - {"None", None}
    return codes == {"TransactionConflict"}


def _code(name: str, value: Mapping[str, str]) -> CodeHash:
    return CodeHash(
        salt=bytes.fromhex(value["salt"]),
        digest=bytes.fromhex(value["digest"]),
        at=from_rfc3339(value["at"]),
        recipient=name.removeprefix(CODE) or None,
    )

"""Store verifications in the StateTable, as orders.

The claim of a call-in verification takes a lease on its number and line in the same transaction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError

from switchboard.domain.errors import StoreError, VerificationOpenError
from switchboard.domain.orders import Claim, Deadlines, Outcome, OutcomeKind
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.timestamps import from_optional_rfc3339, from_rfc3339, to_rfc3339
from switchboard.domain.verification.callbacks import CodeHash, VerificationMode
from switchboard.domain.verification.verifications import (
    MAX_ATTEMPTS,
    CodeCheck,
    Verification,
    VerificationLines,
    deadline_of,
    next_due,
)
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.verifications import WriteAnswer
from switchboard.storage.aws import cancellation_reasons, store_errors
from switchboard.storage.items import (
    CODE,
    SMSID_PREFIX,
    VERIFICATION,
    expiry,
    lease_key,
    require_type,
    set_all,
    to_attributes,
)
from switchboard.storage.orders.store import (
    CLAIM,
    ID_IS_FREE,
    MAY_CLAIM,
    DynamoDbOrderStore,
    OrderCodec,
    optional_int,
)
from switchboard.storage.verification.ivr_calls import lease_from, shorten_lease

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_LEASE_IS_FREE: Final = "attribute_not_exists(pk) OR #until <= :now OR verification_id = :id OR released_to = :client"
_IS_OPEN: Final = (
    "#kind = :kind AND deadline > :at"
    " AND attribute_not_exists(called_at) AND attribute_not_exists(checked_at) AND attribute_not_exists(canceled_at)"
)
_MAY_TRY: Final = f"{_IS_OPEN} AND (attribute_not_exists(attempts_used) OR attempts_used < :most)"
# A transaction fails if another write to one of its items is under way. Such a write takes milliseconds.
_MAX_TRIES: Final = 3
_LEASE_RETENTION: Final = timedelta(days=1)
_REASON_CONDITION_FAILED: Final = "ConditionalCheckFailed"
_REASON_CONFLICT: Final = "TransactionConflict"


class VerificationCodec(OrderCodec[Verification]):
    """The conversion of the facts that only verifications have."""

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
        content = values.get("content")
        require_type(str, values["line"])
        require_type(str | None, values.get("check_id"), values.get("check_key"))
        return Verification(
            **common,
            content=SmsContent(**content) if content else None,
            mode=VerificationMode(values["mode"]),
            line=values["line"],
            lines=VerificationLines(values["lines"]),
            holding_minutes=int(values["holding_minutes"]),
            repeat_calls=optional_int(values.get("repeat_calls")),
            called_at=from_optional_rfc3339(values.get("called_at")),
            late_call_at=from_optional_rfc3339(values.get("late_call_at")),
            codes=tuple(_code_from(name, value) for name, value in sorted(values.items()) if name.startswith(CODE)),
            attempts_used=int(values.get("attempts_used", 0)),
            check=_check_from(values) if "checked_at" in values else None,
        )


class DynamoDbVerificationStore(DynamoDbOrderStore[Verification]):
    """A VerificationStore over one table.

    A lease on a number and line lasts until `grace` after its verification's deadline. A callback that comes within
    `grace` can therefore not be taken for one of the next verification's.
    """

    def __init__(
        self, *, client: DynamoDBClient, table: str, deadlines: Deadlines, grace: timedelta, retention: timedelta
    ) -> None:
        super().__init__(
            client=client,
            table=table,
            codec=VerificationCodec(),
            deadlines=deadlines,
            next_due=partial(next_due, deadlines=deadlines),
            retention=retention,
        )
        self._grace = grace

    def create(self, order: Verification) -> ClaimAnswer[Verification]:
        claim = order.last_claim
        if claim is None or order.mode is VerificationMode.CALL_OUT:
            return super().create(order)
        create = cast(
            "TransactWriteItemTypeDef",
            {
                "Update": {
                    "TableName": self._table,
                    "ConditionExpression": ID_IS_FREE,
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    **set_all(self._new_item(order)),
                }
            },
        )
        refusal = self._write_with_lease(order, claim, create)
        return refusal or ClaimAnswer(granted=True, order=order)

    def claim(self, order_id: str, claim: Claim) -> ClaimAnswer[Verification]:
        order = self.get(order_id)
        if order is None:
            return ClaimAnswer(granted=False, order=None)
        expression = CLAIM + ", deadline = :deadline"
        values = {**self._claim_values(claim), ":deadline": to_rfc3339(deadline_of(order, claim))}
        if order.mode is VerificationMode.CALL_OUT:
            return self._change(order_id, claim=claim, update=expression, condition=MAY_CLAIM, values=values)
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": self._key(order_id),
                "UpdateExpression": expression,
                "ConditionExpression": MAY_CLAIM,
                "ExpressionAttributeValues": to_attributes(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        refusal = self._write_with_lease(order, claim, update)
        return refusal or ClaimAnswer(granted=True, order=replace(order, claims=(*order.claims, claim)))

    def record_outcome(
        self, order: Verification, claim: Claim, outcome: Outcome, *, queue: bool = False
    ) -> Verification:
        written = super().record_outcome(order, claim, outcome, queue=queue)
        was_not_accepted = outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.REJECTED}
        if was_not_accepted and order.mode is not VerificationMode.CALL_OUT:
            # The outcome is recorded already, and a lease that cannot be shortened now ends by itself.
            with suppress(StoreError):
                shorten_lease(
                    self._client,
                    self._table,
                    claim_id=claim.id,
                    recipient=order.recipient,
                    line=order.line,
                    until=claim.at,
                )
        return written

    def record_right_code(self, verification_id: str, check: CodeCheck) -> WriteAnswer:
        update, values = "SET checked_at = :at, check_id = :id", {":id": check.id, ":most": MAX_ATTEMPTS}
        if check.key is not None:
            update, values = f"{update}, check_key = :key", {**values, ":key": check.key}
        answer = self._change_open(verification_id, update=update, condition=_MAY_TRY, at=check.at, values=values)
        stored = answer.verification.check if answer.verification else None
        is_same_check = stored is not None and stored.id == check.id
        return WriteAnswer(written=answer.written or is_same_check, verification=answer.verification)

    def record_wrong_code(self, verification_id: str, *, at: datetime) -> WriteAnswer:
        return self._change_open(
            verification_id,
            update="SET attempts_used = if_not_exists(attempts_used, :none) + :one",
            condition=_MAY_TRY,
            at=at,
            values={":none": 0, ":one": 1, ":most": MAX_ATTEMPTS},
        )

    def record_canceled(self, verification_id: str, *, at: datetime) -> WriteAnswer:
        return self._change_open(
            verification_id,
            update="SET canceled_at = :at, closed_at = if_not_exists(closed_at, :at) REMOVE content, due, pending",
            condition=_IS_OPEN,
            at=at,
            values={},
        )

    def release_line(self, verification: Verification) -> None:
        claim, canceled_at = verification.last_claim, verification.canceled_at
        if claim is None or canceled_at is None or verification.mode is VerificationMode.CALL_OUT:
            return
        shorten_lease(
            self._client,
            self._table,
            claim_id=claim.id,
            recipient=verification.recipient,
            line=verification.line,
            until=canceled_at + self._grace,
            released_to=verification.client,
        )

    def _change_open(
        self, verification_id: str, *, update: str, condition: str, at: datetime, values: Mapping[str, Any]
    ) -> WriteAnswer:
        """Make the update at `at`, if the condition, which contains `_IS_OPEN`, is met."""
        answer = self._change(
            verification_id,
            update=update,
            condition=condition,
            names={"#kind": "kind"},
            values={":kind": VERIFICATION, ":at": to_rfc3339(at), **values},
        )
        return WriteAnswer(written=answer.granted, verification=answer.order)

    def _write_with_lease(
        self, order: Verification, claim: Claim, write: TransactWriteItemTypeDef
    ) -> ClaimAnswer[Verification] | None:
        """Make the write and take the lease, both or neither.

        Returns:
            None if both were done, or else the refusal of the write's condition. That condition is looked at before the
            lease's: the existing item may hold this very claim, made by a try whose response was lost.

        Raises:
            VerificationOpenError: another verification has the lease.
        """
        lease: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table,
                "Item": self._lease_item(order, claim),
                "ConditionExpression": _LEASE_IS_FREE,
                "ExpressionAttributeNames": {"#until": "until"},
                "ExpressionAttributeValues": to_attributes(
                    {":now": to_rfc3339(claim.at), ":id": order.id, ":client": order.client}
                ),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        for tries_left in reversed(range(_MAX_TRIES)):
            with store_errors("claim with lease"):
                try:
                    self._client.transact_write_items(TransactItems=[write, lease])
                except ClientError as error:
                    if tries_left and _is_conflict(error):
                        continue
                    return self._refuse_cancelled(claim, error)
                return None
        raise AssertionError("the last try returns or raises")

    def _refuse_cancelled(self, claim: Claim, error: ClientError) -> ClaimAnswer[Verification]:
        """Refuse the claim because of a cancelled transaction, or raise the error if its reason is no condition."""
        reasons = cancellation_reasons(error)
        codes = [reason.get("Code") for reason in reasons]
        if len(codes) == 2 and codes[0] == _REASON_CONDITION_FAILED:
            return self._refuse_claim(reasons[0].get("Item", {}), claim)
        if len(codes) == 2 and codes[1] == _REASON_CONDITION_FAILED:
            lease = lease_from(reasons[1].get("Item"))
            retry_after_s = math.ceil((lease.until - claim.at).total_seconds()) if lease else 1
            raise VerificationOpenError(
                "Another verification has this number and line. Repeat the request later",
                {},
                retry_after_s=retry_after_s,
            )
        raise error

    def _lease_item(self, order: Verification, claim: Claim) -> dict[str, Any]:
        until = deadline_of(order, claim) + self._grace
        values = {
            "verification_id": order.id,
            "claim_id": claim.id,
            "since": to_rfc3339(claim.at),
            "until": to_rfc3339(until),
            "expires_at": expiry(until, _LEASE_RETENTION),
        }
        return {**lease_key(recipient=order.recipient, line=order.line), **to_attributes(values)}


def _is_conflict(error: ClientError) -> bool:
    """Return whether another write to one of the items was under way, and no condition failed."""
    codes = {reason.get("Code") for reason in cancellation_reasons(error)} - {"None", None}
    return codes == {_REASON_CONFLICT}


def _check_from(values: Mapping[str, Any]) -> CodeCheck:
    return CodeCheck(id=values["check_id"], at=from_rfc3339(values["checked_at"]), key=values.get("check_key"))


def _code_from(name: str, value: Mapping[str, str]) -> CodeHash:
    return CodeHash(
        salt=bytes.fromhex(value["salt"]),
        digest=bytes.fromhex(value["digest"]),
        at=from_rfc3339(value["at"]),
        recipient=name.removeprefix(CODE) or None,
    )

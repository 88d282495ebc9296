"""Store verifications and their further channels in the StateTable, as orders.

The claim of a call-in verification takes a lease on its number and line in the same transaction. The claim of a further
channel changes its verification in the same transaction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    CODE_MODES,
    MAX_ATTEMPTS,
    CodeCheck,
    CodeRecipe,
    Fallback,
    Resend,
    Verification,
    VerificationLines,
    VerificationWithChannels,
    deadline_of,
    next_due,
)
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.verifications import WriteAnswer
from switchboard.storage.aws import cancellation_reasons, store_errors
from switchboard.storage.items import (
    CHANNEL,
    CODE,
    FALLBACK,
    SMSID_PREFIX,
    VERIFICATION,
    expiry,
    lease_key,
    require_type,
    set_all,
    to_attributes,
)
from switchboard.storage.orders.indexes import read_together
from switchboard.storage.orders.store import (
    CLAIM,
    ID_IS_FREE,
    MAY_CLAIM,
    DynamoDbOrderStore,
    OrderCodec,
    optional_int,
    order_from,
)
from switchboard.storage.sms.messages import reports_in
from switchboard.storage.verification.ivr_calls import lease_from, shorten_lease

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_LEASE_IS_FREE: Final = "attribute_not_exists(pk) OR #until <= :now OR verification_id = :id OR released_to = :client"
_IS_OPEN: Final = (
    "#kind = :kind AND deadline > :at"
    " AND attribute_not_exists(called_at) AND attribute_not_exists(checked_at) AND attribute_not_exists(canceled_at)"
)
_HAS_NO_RESEND: Final = "attribute_not_exists(resends)"
_HAS_RESENDS: Final = "size(resends) = :count"
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

    def keeps_content(self, order: Verification) -> bool:
        # Each resend needs the template.
        return order.recipe is not None and order.parent_id is None

    def kind_values(self, order: Verification) -> Mapping[str, Any]:
        recipe, fallback = order.recipe, order.fallback
        return {
            "mode": order.mode.value,
            "line": order.line,
            "lines": order.lines.value,
            "holding_minutes": order.holding_minutes,
            "repeat_calls": order.repeat_calls,
            "deadline": to_rfc3339(order.expires_at),
            "code_length": recipe.length if recipe else None,
            "code_key": recipe.key_version if recipe else None,
            "origin": recipe.origin if recipe else None,
            FALLBACK: int(fallback.after.total_seconds()) if fallback else None,
            "fallback_repeat_calls": fallback.repeat_calls if fallback else None,
        }

    def order_from(self, values: Mapping[str, Any], common: Mapping[str, Any]) -> Verification:
        content = values.get("content")
        require_type(str, values["line"])
        require_type(str | None, *(values.get(name) for name in ("check_id", "check_key", "code_key", "parent_id")))
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
            codes=_codes_in(values),
            attempts_used=int(values.get("attempts_used", 0)),
            check=_check_from(values) if "checked_at" in values else None,
            recipe=_recipe_from(values) if "code_key" in values else None,
            reports=reports_in(values),
            resends=tuple(_resend_from(value) for value in values.get("resends", ())),
            fallback=_fallback_from(values) if FALLBACK in values else None,
            parent_id=values.get("parent_id"),
            ends_at=from_optional_rfc3339(values.get("ends_at")),
            first_generation=int(values.get("generation", 1)),
        )


class ChannelCodec(VerificationCodec):
    """The conversion of a verification's further channels, which no list shows."""

    kind = CHANNEL
    is_listed = False

    def kind_values(self, order: Verification) -> Mapping[str, Any]:
        return {
            **super().kind_values(order),
            "parent_id": order.parent_id,
            "ends_at": to_rfc3339(order.expires_at),
            "generation": order.first_generation,
        }


class DynamoDbChannelStore(DynamoDbOrderStore[Verification]):
    """A ChannelStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str, deadlines: Deadlines, retention: timedelta) -> None:
        super().__init__(
            client=client,
            table=table,
            codec=ChannelCodec(),
            deadlines=deadlines,
            next_due=partial(next_due, deadlines=deadlines),
            retention=retention,
        )

    def with_channels(self, verification: Verification) -> VerificationWithChannels:
        ids = verification.further_channel_ids
        if not ids:
            return VerificationWithChannels(verification)
        # One transaction reads all items, so that no two views of the verification have the same sequence.
        item, *channels = read_together(self._client, self._table, map(self._key, [verification.id, *ids]))
        return VerificationWithChannels(
            order_from(item, codec=VerificationCodec()) or verification,
            tuple(channel for channel in map(self._order_from, channels) if channel is not None),
        )

    def claim_resend(
        self, verification: Verification, channel: Verification, resend: Resend
    ) -> ClaimAnswer[Verification]:
        value = {"id": resend.id, "at": to_rfc3339(resend.at), "key": resend.key}
        return self._claim_with_verification(
            verification,
            channel,
            is_new=True,
            update="SET resends = list_append(if_not_exists(resends, :none), :resends)",
            condition="",
            values={":none": [], ":resends": [{name: text for name, text in value.items() if text is not None}]},
        )

    def record_unsent_resend(self, verification_id: str, resend: Resend, *, place: int) -> None:
        self._change(
            verification_id,
            update=f"SET resends[{place}].unsent = :true",
            condition=f"resends[{place}].id = :id",
            values={":true": True, ":id": resend.id},
        )

    def record_refused_call(self, verification_id: str) -> None:
        self._change(
            verification_id,
            update="SET fallback_refused = :true",
            condition="attribute_exists(fallback_called_at)",
            values={":true": True},
        )

    def claim_fallback(self, verification: Verification, channel: Verification) -> ClaimAnswer[Verification]:
        fallback = verification.fallback
        return self._claim_with_verification(
            verification,
            channel,
            is_new=fallback is None or fallback.called_at is None,
            update="SET fallback_called_at = if_not_exists(fallback_called_at, :at)",
            condition=f" AND attribute_exists({FALLBACK})",
            values={},
        )

    def _claim_with_verification(
        self,
        verification: Verification,
        channel: Verification,
        *,
        is_new: bool,
        update: str,
        condition: str,
        values: Mapping[str, Any],
    ) -> ClaimAnswer[Verification]:
        """Write the channel's claim and change its verification, both or neither: none starts once that is over.

        The verification must be open and have no resend that it had not when it was read.
        """
        [*_, claim] = channel.claims
        if is_new:
            claiming = {"ConditionExpression": ID_IS_FREE, **set_all(self._new_item(channel))}
        else:
            claiming = {
                "Key": self._key(channel.id),
                "UpdateExpression": CLAIM,
                "ConditionExpression": MAY_CLAIM,
                "ExpressionAttributeValues": to_attributes(self._claim_values(claim)),
            }
        has_same_resends = _HAS_RESENDS if verification.resends else _HAS_NO_RESEND
        changing = {
            "Key": self._key(verification.id),
            "UpdateExpression": update,
            "ConditionExpression": f"{_IS_OPEN} AND {has_same_resends}{condition}",
            "ExpressionAttributeNames": {"#kind": "kind"},
            "ExpressionAttributeValues": to_attributes(
                {
                    ":kind": VERIFICATION,
                    ":at": to_rfc3339(claim.at),
                    ":count": len(verification.resends) or None,
                    **values,
                }
            ),
        }
        common: Any = {"TableName": self._table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        writes: Any = [{"Update": {**common, **claiming}}, {"Update": {**common, **changing}}]
        reasons = _transact(self._client, "claim channel", writes)
        if reasons is None:
            return ClaimAnswer(granted=True, order=channel)
        return self._refuse_claim(reasons[0].get("Item", {}), claim)


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
        if claim is None or order.mode in CODE_MODES:
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
        if order.mode in CODE_MODES:
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
        if was_not_accepted and order.mode not in CODE_MODES:
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
        condition = _MAY_TRY
        for name, value in (("check_key", check.key), ("checked_by", check.by)):
            if value is not None:
                update, values = f"{update}, {name} = :{name}", {**values, f":{name}": value}
        if check.by is VerificationMode.SMS_CODE:
            # A resend may have ended the code meanwhile.
            condition = f"{condition} AND {_HAS_RESENDS if check.resends else _HAS_NO_RESEND}"
            values |= {":count": check.resends or None}
        answer = self._change_open(verification_id, update=update, condition=condition, at=check.at, values=values)
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
        if claim is None or canceled_at is None or verification.mode in CODE_MODES:
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
        reasons = _transact(self._client, "claim with lease", [write, lease])
        if reasons is None:
            return None
        if reasons[0].get("Code") == _REASON_CONDITION_FAILED:
            return self._refuse_claim(reasons[0].get("Item", {}), claim)
        found = lease_from(reasons[1].get("Item"))
        retry_after_s = math.ceil((found.until - claim.at).total_seconds()) if found else 1
        raise VerificationOpenError(
            "Another verification has this number and line. Repeat the request later",
            {},
            retry_after_s=retry_after_s,
        )

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


def _transact(
    client: DynamoDBClient, operation: str, writes: Sequence[TransactWriteItemTypeDef]
) -> Sequence[Mapping[str, Any]] | None:
    """Make all writes or none.

    Returns:
        None if they were made, or else one reason for each write, of which at least one failed by its condition.

    Raises:
        StoreUnavailableError: DynamoDB did not answer.
    """
    for tries_left in reversed(range(_MAX_TRIES)):
        with store_errors(operation):
            try:
                client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                if tries_left and _is_conflict(error):
                    continue
                reasons = cancellation_reasons(error)
                if not any(reason.get("Code") == _REASON_CONDITION_FAILED for reason in reasons):
                    raise
                return reasons
            return None
    raise AssertionError("the last try returns or raises")


def _is_conflict(error: ClientError) -> bool:
    """Return whether another write to one of the items was under way, and no condition failed."""
    codes = {reason.get("Code") for reason in cancellation_reasons(error)} - {"None", None}
    return codes == {_REASON_CONFLICT}


def _check_from(values: Mapping[str, Any]) -> CodeCheck:
    by = values.get("checked_by")
    return CodeCheck(
        id=values["check_id"],
        at=from_rfc3339(values["checked_at"]),
        key=values.get("check_key"),
        by=VerificationMode(by) if by else None,
    )


def _recipe_from(values: Mapping[str, Any]) -> CodeRecipe:
    require_type(str | None, values.get("origin"))
    return CodeRecipe(length=int(values["code_length"]), key_version=values["code_key"], origin=values.get("origin"))


def _resend_from(value: Mapping[str, Any]) -> Resend:
    require_type(str, value["id"])
    return Resend(id=value["id"], at=from_rfc3339(value["at"]), key=value.get("key"), unsent=value.get("unsent", False))


def _fallback_from(values: Mapping[str, Any]) -> Fallback:
    return Fallback(
        after=timedelta(seconds=int(values[FALLBACK])),
        repeat_calls=int(values["fallback_repeat_calls"]),
        called_at=from_optional_rfc3339(values.get("fallback_called_at")),
        refused=values.get("fallback_refused", False),
    )


def _codes_in(values: Mapping[str, Any]) -> tuple[CodeHash, ...]:
    # A hash without a key is of an earlier version, and its verification is over.
    named = sorted((name, value) for name, value in values.items() if name.startswith(CODE))
    return tuple(_code_from(name, value) for name, value in named if "key" in value)


def _code_from(name: str, value: Mapping[str, str]) -> CodeHash:
    return CodeHash(
        key_version=value["key"],
        digest=bytes.fromhex(value["digest"]),
        at=from_rfc3339(value["at"]),
        recipient=name.removeprefix(CODE) or None,
    )

"""Store voice calls in the StateTable, as orders.

A second item under the provider's call id holds the results that the provider reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import UnreadableItemError
from switchboard.domain.orders import Claim, Deadlines, Outcome
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.domain.voice_calls import MAX_RESULTS, CallResultFact, PreparedCall, VoiceCall, next_due
from switchboard.ports.callbacks import EventPlace
from switchboard.ports.listing import ListingQuery, Page
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import Item, decoding_errors, expiry, require_type, to_attributes
from switchboard.storage.orders.indexes import get_items, read_together
from switchboard.storage.orders.store import DynamoDbOrderStore, OrderCodec, optional_int

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_RESULT: Final = "result|"
_NEWEST_RESULT: Final = "newest_result"
_BOUND_TO: Final = "bound_to"
_CALL_ID_PREFIX: Final = "CALLID#"
_REVISIONS: Final = "revisions"
_COUNT_REVISION: Final = f"{_REVISIONS} = if_not_exists({_REVISIONS}, :none) + :one"


class VoiceCallCodec(OrderCodec[VoiceCall]):
    """The conversion of the facts that only voice calls have."""

    kind = "call"
    key_prefix = "CALL"
    keeps_unsent_content = True

    def kind_values(self, order: VoiceCall) -> Mapping[str, Any]:
        return {
            "template_id": order.template_id,
            "play_times": order.play_times,
            "volume": order.volume,
            "tag": order.tag,
            "show_number": order.show_number,
            "callback_expected": order.callback_expected or None,
        }

    def order_from(self, values: Mapping[str, Any], common: Mapping[str, Any]) -> VoiceCall:
        content = values.get("content")
        require_type(str, values["template_id"])
        require_type(str | None, values.get("tag"), values.get("show_number"))
        require_type(bool, values.get("callback_expected", False))
        return VoiceCall(
            **common,
            content=PreparedCall(**content) if content else None,
            template_id=values["template_id"],
            play_times=optional_int(values.get("play_times")),
            volume=optional_int(values.get("volume")),
            tag=values.get("tag"),
            show_number=values.get("show_number"),
            callback_expected=values.get("callback_expected", False),
        )


class DynamoDbCallResultStore:
    """A CallResultStore over one table. An item is kept for `retention` after its first write.

    A provider names a call by its own id, and may do so before its response to the submission has reached us. The
    results are therefore in an item under that id, which also holds the token once the response has come.
    """

    def __init__(self, *, client: DynamoDBClient, table: str, retention: timedelta) -> None:
        self._client = client
        self._table = table
        self._retention = retention

    def record_result(self, result: CallResult, *, seen_at: datetime) -> EventPlace:
        fact, seen = f"{_RESULT}{result.result}", to_rfc3339(seen_at)
        written, item = self._change_results(
            result,
            update="SET #fact = :seen, results = if_not_exists(results, :none) + :one,"
            " expires_at = if_not_exists(expires_at, :expiry)",
            condition="attribute_not_exists(#fact) AND (attribute_not_exists(results) OR results < :most)",
            fact=fact,
            values={
                ":seen": seen,
                ":none": 0,
                ":one": 1,
                ":most": MAX_RESULTS,
                ":expiry": expiry(seen_at, self._retention),
            },
        )
        if not written and fact not in item:
            self._change_results(
                result,
                update=f"SET #fact = :newest, {_COUNT_REVISION}",
                condition="attribute_not_exists(#fact) OR #fact.#at < :seen",
                fact=_NEWEST_RESULT,
                names={"#at": "at"},
                values={":newest": {"result": result.result, "at": seen}, ":seen": seen, ":none": 0, ":one": 1},
            )
            return EventPlace.OVERFLOWED
        if not written and item[fact]["S"] > seen:
            self._change_results(
                result,
                update=f"SET #fact = :seen, {_COUNT_REVISION}",
                condition="#fact > :seen",
                fact=fact,
                values={":seen": seen, ":none": 0, ":one": 1},
            )
        return EventPlace.RECORDED if _BOUND_TO in item else EventPlace.ORPHAN

    def _change_results(
        self,
        result: CallResult,
        *,
        update: str,
        condition: str,
        fact: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[bool, Item]:
        return conditional_update(
            self._client,
            "record call result",
            TableName=self._table,
            Key=_call_id_key(result.call_id),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames={"#fact": fact, **names},
            ExpressionAttributeValues=to_attributes(values),
        )


class DynamoDbVoiceCallStore(DynamoDbOrderStore[VoiceCall], DynamoDbCallResultStore):
    """A VoiceCallStore over one table. An item is kept for `retention` after its creation."""

    def __init__(self, *, client: DynamoDBClient, table: str, deadlines: Deadlines, retention: timedelta) -> None:
        super().__init__(
            client=client,
            table=table,
            codec=VoiceCallCodec(),
            deadlines=deadlines,
            next_due=partial(next_due, deadlines=deadlines),
            retention=retention,
        )

    def record_outcome(self, order: VoiceCall, claim: Claim, outcome: Outcome, *, queue: bool = False) -> VoiceCall:
        call_id = outcome.facts.get("call_id")
        if call_id is not None:
            with store_errors("record call id"):
                self._client.update_item(
                    TableName=self._table,
                    Key=_call_id_key(call_id),
                    UpdateExpression=(
                        "SET bound_to = if_not_exists(bound_to, :token), "
                        "expires_at = if_not_exists(expires_at, :expiry)"
                    ),
                    ExpressionAttributeValues=to_attributes(
                        {":token": order.token, ":expiry": expiry(outcome.at, self._retention)}
                    ),
                )
        return super().record_outcome(order, claim, outcome, queue=queue)

    def token_of(self, call_id: str) -> str | None:
        with store_errors("find call id"):
            response = self._client.get_item(TableName=self._table, Key=_call_id_key(call_id), ConsistentRead=True)
        return response.get("Item", {}).get(_BOUND_TO, {}).get("S")

    def get(self, order_id: str) -> VoiceCall | None:
        call = super().get(order_id)
        if call is None or call.call_id is None:
            return call
        # One transaction reads both items, so that no two views of the call have the same sequence.
        keys = (self._key(order_id), _call_id_key(call.call_id))
        item, results = read_together(self._client, self._table, keys)
        call = self._order_from(item)
        return call if call is None or results is None else _add_results(call, results)

    def find(self, query: ListingQuery, *, client: str) -> Page[VoiceCall]:
        page = super().find(query, client=client)
        return replace(page, items=self._add_reports(page.items))

    def _add_reports(self, calls: Sequence[VoiceCall]) -> list[VoiceCall]:
        """Return the calls with the results that the provider reported of them."""
        call_ids = {call.call_id for call in calls if call.call_id is not None}
        keys = [_call_id_key(call_id) for call_id in sorted(call_ids)]
        items = get_items(self._client, self._table, keys, operation="fetch call results")
        results = {item["pk"]["S"]: item for item in items}
        return [_add_results(call, results.get(_call_id_pk(call.call_id or ""), {})) for call in calls]


def token_in(item: Item) -> str | None:
    """Return the token of the call whose results this item holds, or None if it holds none or the call is not known."""
    return item[_BOUND_TO]["S"] if _BOUND_TO in item and item["pk"]["S"].startswith(_CALL_ID_PREFIX) else None


def count_results(item: Item) -> int:
    """Return the number of visible facts among the results in an item.

    Raises:
        UnreadableItemError: this version cannot read the results.
    """
    with decoding_errors("call results"):
        return len(_results_in(item)) + _revisions_in(item)


def _revisions_in(item: Item) -> int:
    return int(item.get(_REVISIONS, {"N": 0})["N"])


def _add_results(call: VoiceCall, item: Item) -> VoiceCall:
    """Return the call with the results in an item. Results that this version cannot read do not hide the call."""
    with suppress(UnreadableItemError), decoding_errors("call results"):
        return replace(call, reports=_results_in(item), revisions=_revisions_in(item))
    return call


def _call_id_pk(call_id: str) -> str:
    return f"{_CALL_ID_PREFIX}{call_id}"


def _call_id_key(call_id: str) -> dict[str, Any]:
    return to_attributes({"pk": _call_id_pk(call_id)})


def _results_in(item: Item) -> tuple[CallResultFact, ...]:
    """Return the results among an item's attributes, in the order in which they first came."""
    newest = item.get(_NEWEST_RESULT, {}).get("M")
    facts = [CallResultFact(newest["result"]["S"], from_rfc3339(newest["at"]["S"]))] if newest else []
    facts += [
        CallResultFact(name.removeprefix(_RESULT), from_rfc3339(value["S"]))
        for name, value in item.items()
        if name.startswith(_RESULT)
    ]
    return tuple(sorted(facts, key=lambda fact: (fact.first_seen_at, fact.result)))

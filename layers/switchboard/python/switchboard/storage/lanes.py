"""Lanes in the LimitsTable: one item for each (provider, egress address), moved by conditional updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError

from switchboard.ports.lanes import CircuitRule, LaneMove, LaneState, Permit
from switchboard.storage.aws import store_errors
from switchboard.storage.items import to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Fewer than `room` permits beside one's own.
_FEWER_THAN: Final = "(size(permits) < :{room} OR (attribute_exists(permits.#worker) AND size(permits) = :{room}))"
# The text of CircuitRule.room and Permit.fits in DynamoDB's own terms.
_CLOSED: Final = "(attribute_not_exists(streak) OR streak < :limit)"
_UNTRIED: Final = "(NOT contains(tried, :version) AND streak < :ceiling)"
_ADMITTED: Final = (
    "attribute_exists(permits) AND attribute_not_exists(blocked_by)"
    f" AND (({_CLOSED} AND {_FEWER_THAN.format(room='room')}) OR ({_UNTRIED} AND {_FEWER_THAN.format(room='one')}))"
)
# The first permit of a lane makes the map: a member cannot be set in a map that is not there.
_ADMITTED_FIRST: Final = (
    f"attribute_not_exists(blocked_by) AND ({_CLOSED} OR {_UNTRIED}) AND attribute_not_exists(permits)"
)


class DynamoDbLaneStore:
    """A LaneStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def append(
        self, lane: str, *, step_us: int, now_us: int, latest_us: int, rule: CircuitRule, permit: Permit
    ) -> LaneMove:
        return self._move(
            lane,
            cursor="cursor_us + :step",
            condition="cursor_us BETWEEN :now AND :latest",
            values={":step": step_us, ":now": now_us, ":latest": latest_us},
            rule=rule,
            permit=permit,
        )

    def restart(self, lane: str, *, step_us: int, now_us: int, rule: CircuitRule, permit: Permit) -> LaneMove:
        return self._move(
            lane,
            cursor=":next",
            condition="(attribute_not_exists(cursor_us) OR cursor_us < :now)",
            values={":next": now_us + step_us, ":now": now_us},
            rule=rule,
            permit=permit,
        )

    def add_refusal(self, lane: str, *, worker: str) -> LaneState:
        count = "SET streak = if_not_exists(streak, :zero) + :one, refusals = if_not_exists(refusals, :zero) + :one"
        call: dict[str, Any] = {
            "TableName": self._table,
            "Key": _key(lane),
            "ExpressionAttributeValues": to_attributes({":zero": 0, ":one": 1}),
            "ReturnValues": "ALL_NEW",
        }
        with store_errors("count refusal"):
            try:
                answer = self._client.update_item(
                    **call,
                    UpdateExpression=f"{count} REMOVE permits.#worker",
                    ConditionExpression="attribute_exists(permits)",
                    ExpressionAttributeNames={"#worker": worker},
                )
            except ClientError as error:
                _stood_in_the_way(error)
                answer = self._client.update_item(**call, UpdateExpression=count)
        return _lane_from(answer["Attributes"])

    def give_back(self, lane: str, *, worker: str) -> None:
        with store_errors("give permit back"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_key(lane),
                    UpdateExpression="REMOVE permits.#worker",
                    ConditionExpression="attribute_exists(permits)",
                    ExpressionAttributeNames={"#worker": worker},
                )
            except ClientError as error:
                _stood_in_the_way(error)

    def end_streak(self, lane: str, *, seen: int) -> None:
        with store_errors("end streak"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_key(lane),
                    UpdateExpression="REMOVE streak, tried",
                    ConditionExpression="refusals = :seen",
                    ExpressionAttributeValues=to_attributes({":seen": seen}),
                )
            except ClientError as error:
                _stood_in_the_way(error)

    def block(self, lane: str, *, code: str) -> None:
        with store_errors("block lane"):
            self._client.update_item(
                TableName=self._table,
                Key=_key(lane),
                UpdateExpression="SET blocked_by = :code",
                ExpressionAttributeValues=to_attributes({":code": code}),
            )

    def _move(
        self,
        lane: str,
        *,
        cursor: str,
        condition: str,
        values: Mapping[str, Any],
        rule: CircuitRule,
        permit: Permit,
    ) -> LaneMove:
        values = {
            **values,
            ":limit": rule.limit,
            ":ceiling": rule.ceiling,
            ":version": rule.version,
            ":tried": {rule.version},
        }
        dropped = {f"expired{number}": each for number, each in enumerate(permit.expired.items())}
        removed = ", ".join(f"permits.#{name}" for name in dropped)
        with store_errors("reserve slot"):
            moved, item = self._update(
                lane,
                update=f"SET cursor_us = {cursor}, permits.#worker = :until"
                f"{' REMOVE ' + removed if removed else ''} ADD tried :tried",
                condition=" AND ".join(
                    [condition, _ADMITTED, *(f"permits.#{name} = :{name}" for name in dropped)],
                ),
                ExpressionAttributeNames={
                    "#worker": permit.worker,
                    **{f"#{name}": worker for name, (worker, _) in dropped.items()},
                },
                values={
                    **values,
                    ":until": permit.until_us,
                    ":room": rule.in_flight + len(dropped),
                    ":one": 1 + len(dropped),
                    **{f":{name}": until for name, (_, until) in dropped.items()},
                },
            )
            if not moved and not permit.expired and "permits" not in item:
                moved, item = self._update(
                    lane,
                    update=f"SET cursor_us = {cursor}, permits = :first ADD tried :tried",
                    condition=f"{condition} AND {_ADMITTED_FIRST}",
                    values={**values, ":first": {permit.worker: permit.until_us}},
                )
        return LaneMove(moved=moved, lane=_lane_from(item))

    def _update(
        self,
        lane: str,
        *,
        update: str,
        condition: str,
        values: Mapping[str, Any],
        **names: Any,
    ) -> tuple[bool, Mapping[str, Any]]:
        """Whether it was done, and the item after (done) or before (not done)."""
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(lane),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=to_attributes(values),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **names,
            )
        except ClientError as error:
            return False, _stood_in_the_way(error)
        return True, answer["Attributes"]


def _key(lane: str) -> dict[str, Any]:
    return to_attributes({"pk": f"LANE#{lane}"})


def _lane_from(item: Mapping[str, Any]) -> LaneState:
    def number(name: str) -> int:
        return int(item.get(name, {}).get("N", "0"))

    return LaneState(
        cursor_us=number("cursor_us"),
        streak=number("streak"),
        refusals=number("refusals"),
        tried=frozenset(item.get("tried", {}).get("SS", ())),
        blocked_by=item.get("blocked_by", {}).get("S"),
        permits={worker: int(until["N"]) for worker, until in item.get("permits", {}).get("M", {}).items()},
    )


def _stood_in_the_way(error: ClientError) -> Mapping[str, Any]:
    if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
        raise error
    return cast("Mapping[str, Any]", error.response.get("Item", {}))

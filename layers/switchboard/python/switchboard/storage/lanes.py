"""Lanes in the LimitsTable: one item for each (provider, egress address), moved by conditional updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from switchboard.ports.lanes import CircuitRule, LaneMove, LaneState
from switchboard.storage.aws import store_errors
from switchboard.storage.items import to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The text of CircuitRule.is_closed in DynamoDB's own terms.
_CIRCUIT_CLOSED = (
    "attribute_not_exists(blocked_by) AND (attribute_not_exists(streak) OR streak < :limit"
    " OR (NOT contains(tried, :version) AND streak < :ceiling))"
)


class DynamoDbLaneStore:
    """A LaneStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def append(self, lane: str, *, step_us: int, now_us: int, latest_us: int, rule: CircuitRule) -> LaneMove:
        return self._move(
            lane,
            update="SET cursor_us = cursor_us + :step ADD tried :tried",
            condition="cursor_us BETWEEN :now AND :latest",
            values={":step": step_us, ":now": now_us, ":latest": latest_us},
            rule=rule,
        )

    def restart(self, lane: str, *, step_us: int, now_us: int, rule: CircuitRule) -> LaneMove:
        return self._move(
            lane,
            update="SET cursor_us = :next ADD tried :tried",
            condition="(attribute_not_exists(cursor_us) OR cursor_us < :now)",
            values={":next": now_us + step_us, ":now": now_us},
            rule=rule,
        )

    def add_refusal(self, lane: str) -> LaneState:
        with store_errors("count refusal"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(lane),
                UpdateExpression="SET streak = if_not_exists(streak, :zero) + :one",
                ExpressionAttributeValues=to_attributes({":zero": 0, ":one": 1}),
                ReturnValues="ALL_NEW",
            )
        return _lane_from(answer["Attributes"])

    def end_streak(self, lane: str, *, seen: int) -> None:
        with store_errors("end streak"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_key(lane),
                    UpdateExpression="REMOVE streak, tried",
                    ConditionExpression="streak = :seen",
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
        self, lane: str, *, update: str, condition: str, values: Mapping[str, Any], rule: CircuitRule
    ) -> LaneMove:
        circuit = {
            ":limit": rule.limit,
            ":ceiling": rule.ceiling,
            ":version": rule.version,
            ":tried": {rule.version},
        }
        with store_errors("reserve slot"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=_key(lane),
                    UpdateExpression=update,
                    ConditionExpression=f"{condition} AND {_CIRCUIT_CLOSED}",
                    ExpressionAttributeValues=to_attributes({**values, **circuit}),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                return LaneMove(moved=False, lane=_lane_from(_stood_in_the_way(error)))
        return LaneMove(moved=True, lane=_lane_from(answer["Attributes"]))


def _key(lane: str) -> dict[str, Any]:
    return to_attributes({"pk": f"LANE#{lane}"})


def _lane_from(item: Mapping[str, Any]) -> LaneState:
    def number(name: str) -> int:
        return int(item.get(name, {}).get("N", "0"))

    return LaneState(
        cursor_us=number("cursor_us"),
        streak=number("streak"),
        tried=frozenset(item.get("tried", {}).get("SS", ())),
        blocked_by=item.get("blocked_by", {}).get("S"),
    )


def _stood_in_the_way(error: ClientError) -> Mapping[str, Any]:
    if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
        raise error
    return cast("Mapping[str, Any]", error.response.get("Item", {}))

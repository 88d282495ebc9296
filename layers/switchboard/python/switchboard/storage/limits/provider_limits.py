"""Lanes in the LimitsTable: one item for each (provider, egress address), moved by conditional updates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.rate_limits import CircuitRule, LaneMove, LaneState, Permit, SlotRequest
from switchboard.storage.aws import conditional_update
from switchboard.storage.items import to_attributes
from switchboard.storage.limits.store_clock import StoreTime

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# SlotRequest.knows_the_pace and the rules of CircuitRule and Permit, in DynamoDB's own terms.
_PACE: Final = "(attribute_not_exists(slowed_us) OR slowed_us = :slowed OR slowed_us < :recovered)"
_UP_TO_DATE: Final = "(NOT contains(refused, :version) OR refusals <= :reread)"
_CLOSED: Final = "(attribute_not_exists(streak) OR streak < :limit)"
_UNTRIED: Final = "(NOT contains(tried, :version) AND streak < :ceiling)"
_UNBLOCKED: Final = f"attribute_not_exists(blocked_by) AND {_PACE} AND {_UP_TO_DATE}"


class DynamoDbLaneStore:
    """A LaneStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._time = StoreTime(client)

    def append(self, lane: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        return self._move(
            lane,
            cursor="cursor_us + :length",
            condition="cursor_us BETWEEN :now AND :latest",
            values={":length": slots.length_us, ":now": slots.now_us, ":latest": slots.latest_start_us},
            slots=slots,
            rule=rule,
            permit=permit,
        )

    def restart(self, lane: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        return self._move(
            lane,
            cursor=":next",
            condition="(attribute_not_exists(cursor_us) OR cursor_us < :now)",
            values={":next": slots.now_us + slots.length_us, ":now": slots.now_us},
            slots=slots,
            rule=rule,
            permit=permit,
        )

    def add_refusal(self, lane: str, *, worker: str, version: str) -> LaneState:
        count = (
            "SET streak = if_not_exists(streak, :zero) + :one, refusals = if_not_exists(refusals, :zero) + :one"
            " ADD refused :version"
        )
        values = {":zero": 0, ":one": 1, ":version": {version}}
        done, item = self._update(
            lane,
            "count refusal",
            update=f"{count} REMOVE permits.#worker",
            condition="attribute_exists(permits)",
            names={"#worker": worker},
            values=values,
        )
        if not done:
            _, item = self._update(lane, "count refusal", update=count, values=values)
        return _lane_from(item)

    def give_back(self, lane: str, *, workers: Collection[str]) -> None:
        names = _placeholders("worker", workers)
        self._update(
            lane,
            "give permit back",
            update=f"REMOVE {_members(names)}",
            condition="attribute_exists(permits)",
            names=names,
        )

    def end_streak(self, lane: str, *, seen: int, versions: Collection[str]) -> None:
        self._update(
            lane,
            "end streak",
            update="REMOVE streak, tried DELETE refused :versions",
            condition="refusals = :seen",
            values={":seen": seen, ":versions": set(versions)},
        )

    def forget_tried(self, lane: str, *, but: str) -> None:
        self._update(
            lane,
            "forget tried",
            update="SET tried = :only",
            condition="attribute_exists(tried) AND attribute_not_exists(streak)",
            values={":only": {but}},
        )

    def slow(self, lane: str, *, pct: int, now_us: int, slot_us: int) -> None:
        self._update(
            lane,
            "slow lane",
            update="SET slow_pct = :pct, slowed_us = :now",
            condition="attribute_not_exists(slowed_us) OR slowed_us < :slot",
            values={":pct": pct, ":now": now_us, ":slot": slot_us},
        )

    def block(self, lane: str, *, code: str) -> None:
        self._update(lane, "block lane", update="SET blocked_by = :code", values={":code": code})

    def clock_ahead_s(self) -> float | None:
        return self._time.ahead_s()

    def _move(
        self,
        lane: str,
        *,
        cursor: str,
        condition: str,
        values: Mapping[str, Any],
        slots: SlotRequest,
        rule: CircuitRule,
        permit: Permit | None,
    ) -> LaneMove:
        update = f"SET cursor_us = {cursor}"
        values = {
            **values,
            ":slowed": slots.slowed_us,
            ":recovered": slots.recovered_us,
            ":limit": rule.limit,
            ":ceiling": rule.ceiling,
            ":version": rule.version,
            ":reread": rule.reread,
            ":tried": {rule.version},
        }
        if permit is None:
            moved, item = self._update(
                lane,
                "reserve slot",
                update=f"{update} ADD tried :tried",
                condition=f"{condition} AND {_UNBLOCKED} AND ({_CLOSED} OR {_UNTRIED})",
                values=values,
            )
            return LaneMove(moved=moved, lane=_lane_from(item))
        moved, item = self._move_with(permit, lane, update=update, condition=condition, values=values, rule=rule)
        rooms = {_CLOSED: rule.in_flight or 0, _UNTRIED: 1}
        wide_enough = [circuit for circuit, room in rooms.items() if len(permit.workers) <= room]
        if not moved and not permit.expired and "permits" not in item and wide_enough:
            # The first permits of a lane make the map: a member cannot be set in a map that is not there.
            circuit = " OR ".join(wide_enough)
            moved, item = self._update(
                lane,
                "reserve slot",
                update=f"{update}, permits = :first ADD tried :tried",
                # DynamoDB refuses redundant parentheses.
                condition=f"{condition} AND {_UNBLOCKED} AND attribute_not_exists(permits)"
                f" AND {f'({circuit})' if len(wide_enough) > 1 else circuit}",
                values=_used_in(circuit, values) | {":first": dict.fromkeys(permit.workers, permit.until_us)},
            )
        return LaneMove(moved=moved, lane=_lane_from(item))

    def _move_with(
        self, permit: Permit, lane: str, *, update: str, condition: str, values: Mapping[str, Any], rule: CircuitRule
    ) -> tuple[bool, Mapping[str, Any]]:
        workers, dropped = _placeholders("worker", permit.workers), _placeholders("expired", permit.expired)
        held = " AND ".join(f"attribute_exists(permits.{name})" for name in workers)

        def room(name: str) -> str:
            return f"(size(permits) <= :{name}_new OR ({held} AND size(permits) <= :{name}))"

        rooms = {"room": (rule.in_flight or 0) + len(dropped), "one": 1 + len(dropped)}
        return self._update(
            lane,
            "reserve slot",
            update=f"{update}, {', '.join(f'permits.{name} = :until' for name in workers)}"
            f"{' REMOVE ' + _members(dropped) if dropped else ''} ADD tried :tried",
            condition=" AND ".join(
                [
                    condition,
                    f"attribute_exists(permits) AND {_UNBLOCKED}",
                    f"(({_CLOSED} AND {room('room')}) OR ({_UNTRIED} AND {room('one')}))",
                    *(f"permits.{name} = :{name[1:]}" for name in dropped),
                ]
            ),
            names={**workers, **dropped},
            values={
                **values,
                ":until": permit.until_us,
                **{f":{name}": size for name, size in rooms.items()},
                **{f":{name}_new": size - len(workers) for name, size in rooms.items()},
                **{f":{name[1:]}": permit.expired[worker] for name, worker in dropped.items()},
            },
        )

    def _update(
        self,
        lane: str,
        operation: str,
        *,
        update: str,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> tuple[bool, Mapping[str, Any]]:
        call: dict[str, Any] = {"TableName": self._table, "Key": to_attributes({"pk": f"LANE#{lane}"})}
        if condition:
            call["ConditionExpression"] = condition
        if names:
            call["ExpressionAttributeNames"] = names
        if values:
            call["ExpressionAttributeValues"] = to_attributes(values)
        return conditional_update(self._client, operation, UpdateExpression=update, **call)


def _used_in(circuit: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the circuit's values that this part of its condition does not name: DynamoDB refuses unused ones."""
    unused = {name for name in (":limit", ":ceiling") if name not in circuit}
    return {name: value for name, value in values.items() if name not in unused}


def _placeholders(kind: str, workers: Iterable[str]) -> dict[str, str]:
    return {f"#{kind}{number}": worker for number, worker in enumerate(workers)}


def _members(names: Iterable[str]) -> str:
    return ", ".join(f"permits.{name}" for name in names)


def _lane_from(item: Mapping[str, Any]) -> LaneState:
    def number(name: str, default: int = 0) -> int:
        return int(item.get(name, {}).get("N", default))

    def texts(name: str) -> frozenset[str]:
        return frozenset(item.get(name, {}).get("SS", ()))

    return LaneState(
        cursor_us=number("cursor_us"),
        streak=number("streak"),
        refusals=number("refusals"),
        tried=texts("tried"),
        refused=texts("refused"),
        blocked_by=item.get("blocked_by", {}).get("S"),
        permits={worker: int(until["N"]) for worker, until in item.get("permits", {}).get("M", {}).items()},
        slow_pct=number("slow_pct", 100),
        slowed_us=number("slowed_us"),
    )

"""Lanes in the LimitsTable: one item for each (provider, egress address), granted by conditional updates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.storage.aws import conditional_update
from switchboard.storage.items import to_attributes
from switchboard.storage.limits.store_clock import StoreClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# SlotRequest.knows_backoff and the rules of CircuitRule and Permit, in DynamoDB's own terms.
_PACE: Final = "(attribute_not_exists(backed_off_us) OR backed_off_us = :slowed OR backed_off_us < :recovered)"
_UP_TO_DATE: Final = "(NOT contains(rejected_versions, :version) OR total_401s <= :read_after)"
_CLOSED: Final = "(attribute_not_exists(consecutive_401s) OR consecutive_401s < :limit)"
_UNTRIED: Final = "(NOT contains(probed_versions, :version) AND consecutive_401s < :ceiling)"
_UNBLOCKED: Final = f"attribute_not_exists(blocked_by) AND {_PACE} AND {_UP_TO_DATE}"


class DynamoDbProviderLimitStore:
    """A ProviderLimitStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._time = StoreClock(client)

    def reserve_next(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        return self._move(
            key,
            next_slot="next_slot_us + :length",
            condition="next_slot_us BETWEEN :now AND :latest",
            values={":length": slots.length_us, ":now": slots.now_us, ":latest": slots.latest_start_us},
            slots=slots,
            rule=rule,
            permit=permit,
        )

    def reserve_now(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        return self._move(
            key,
            next_slot=":next",
            condition="(attribute_not_exists(next_slot_us) OR next_slot_us < :now)",
            values={":next": slots.now_us + slots.length_us, ":now": slots.now_us},
            slots=slots,
            rule=rule,
            permit=permit,
        )

    def record_401(self, key: str, *, worker: str, version: str) -> ProviderLimitState:
        count = (
            "SET consecutive_401s = if_not_exists(consecutive_401s, :zero) + :one,"
            " total_401s = if_not_exists(total_401s, :zero) + :one ADD rejected_versions :version"
        )
        values = {":zero": 0, ":one": 1, ":version": {version}}
        done, item = self._update(
            key,
            "count refusal",
            update=f"{count} REMOVE permits.#worker",
            condition="attribute_exists(permits)",
            names={"#worker": worker},
            values=values,
        )
        if not done:
            _, item = self._update(key, "count refusal", update=count, values=values)
        return limit_state_from(item)

    def return_permits(self, key: str, *, workers: Collection[str]) -> None:
        names = _placeholders("worker", workers)
        self._update(
            key,
            "give permit back",
            update=f"REMOVE {_members(names)}",
            condition="attribute_exists(permits)",
            names=names,
        )

    def reset_401s(self, key: str, *, seen: int, versions: Collection[str]) -> None:
        self._update(
            key,
            "end consecutive_401s",
            update="REMOVE consecutive_401s, probed_versions DELETE rejected_versions :versions",
            condition="total_401s = :seen",
            values={":seen": seen, ":versions": set(versions)},
        )

    def forget_probed(self, key: str, *, but: str) -> None:
        self._update(
            key,
            "forget tried",
            update="SET probed_versions = :only",
            condition="attribute_exists(probed_versions) AND attribute_not_exists(consecutive_401s)",
            values={":only": {but}},
        )

    def back_off(self, key: str, *, pct: int, now_us: int, slot_us: int) -> None:
        self._update(
            key,
            "slow state",
            update="SET backoff_percent = :pct, backed_off_us = :now",
            condition="attribute_not_exists(backed_off_us) OR backed_off_us < :slot",
            values={":pct": pct, ":now": now_us, ":slot": slot_us},
        )

    def block(self, key: str, *, code: str) -> None:
        self._update(key, "block state", update="SET blocked_by = :code", values={":code": code})

    def clock_ahead_s(self) -> float | None:
        return self._time.ahead_s()

    def _move(
        self,
        key: str,
        *,
        next_slot: str,
        condition: str,
        values: Mapping[str, Any],
        slots: SlotRequest,
        rule: CircuitRule,
        permit: Permit | None,
    ) -> LimitUpdate:
        update = f"SET next_slot_us = {next_slot}"
        values = {
            **values,
            ":slowed": slots.backed_off_us,
            ":recovered": slots.recovered_us,
            ":limit": rule.open_after_401s,
            ":ceiling": rule.max_consecutive_401s,
            ":version": rule.version,
            ":read_after": rule.read_after,
            ":probed": {rule.version},
        }
        if permit is None:
            granted, item = self._update(
                key,
                "reserve slot",
                update=f"{update} ADD probed_versions :probed",
                condition=f"{condition} AND {_UNBLOCKED} AND ({_CLOSED} OR {_UNTRIED})",
                values=values,
            )
            return LimitUpdate(granted=granted, state=limit_state_from(item))
        granted, item = self._move_with(permit, key, update=update, condition=condition, values=values, rule=rule)
        rooms = {_CLOSED: rule.in_flight or 0, _UNTRIED: 1}
        wide_enough = [circuit for circuit, permits in rooms.items() if len(permit.workers) <= permits]
        if not granted and not permit.expired and "permits" not in item and wide_enough:
            # The first permits of a state make the map: a member cannot be set in a map that is not there.
            circuit = " OR ".join(wide_enough)
            granted, item = self._update(
                key,
                "reserve slot",
                update=f"{update}, permits = :first ADD probed_versions :probed",
                # DynamoDB refuses redundant parentheses.
                condition=f"{condition} AND {_UNBLOCKED} AND attribute_not_exists(permits)"
                f" AND {f'({circuit})' if len(wide_enough) > 1 else circuit}",
                values=_used_in(circuit, values) | {":first": dict.fromkeys(permit.workers, permit.until_us)},
            )
        return LimitUpdate(granted=granted, state=limit_state_from(item))

    def _move_with(
        self, permit: Permit, key: str, *, update: str, condition: str, values: Mapping[str, Any], rule: CircuitRule
    ) -> tuple[bool, Mapping[str, Any]]:
        workers, dropped = _placeholders("worker", permit.workers), _placeholders("expired", permit.expired)
        held = " AND ".join(f"attribute_exists(permits.{name})" for name in workers)

        def max_permits(name: str) -> str:
            return f"(size(permits) <= :{name}_new OR ({held} AND size(permits) <= :{name}))"

        rooms = {"room": (rule.in_flight or 0) + len(dropped), "one": 1 + len(dropped)}
        return self._update(
            key,
            "reserve slot",
            update=f"{update}, {', '.join(f'permits.{name} = :until' for name in workers)}"
            f"{' REMOVE ' + _members(dropped) if dropped else ''} ADD probed_versions :probed",
            condition=" AND ".join(
                [
                    condition,
                    f"attribute_exists(permits) AND {_UNBLOCKED}",
                    f"(({_CLOSED} AND {max_permits('room')}) OR ({_UNTRIED} AND {max_permits('one')}))",
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
        key: str,
        operation: str,
        *,
        update: str,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> tuple[bool, Mapping[str, Any]]:
        call: dict[str, Any] = {"TableName": self._table, "Key": to_attributes({"pk": f"PROVIDER_LIMIT#{key}"})}
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


def limit_state_from(item: Mapping[str, Any]) -> ProviderLimitState:
    def number(name: str, default: int = 0) -> int:
        return int(item.get(name, {}).get("N", default))

    def texts(name: str) -> frozenset[str]:
        return frozenset(item.get(name, {}).get("SS", ()))

    return ProviderLimitState(
        next_slot_us=number("next_slot_us"),
        consecutive_401s=number("consecutive_401s"),
        total_401s=number("total_401s"),
        probed_versions=texts("probed_versions"),
        rejected_versions=texts("rejected_versions"),
        blocked_by=item.get("blocked_by", {}).get("S"),
        permits={worker: int(until["N"]) for worker, until in item.get("permits", {}).get("M", {}).items()},
        backoff_percent=number("backoff_percent", 100),
        backed_off_us=number("backed_off_us"),
    )

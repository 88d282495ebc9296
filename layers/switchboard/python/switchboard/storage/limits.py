"""Stores of the LimitsTable, which is changed by conditional updates.

The counters of one key are in one item. There is one item for each provider limit, (provider, egress address).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.storage.aws import StoreClock, conditional_update, store_errors
from switchboard.storage.items import to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_NO_COUNTERS: Final = frozenset({"pk", "expires_at"})

# SlotRequest.knows_backoff and the rules of CircuitRule and Permit, as conditions of DynamoDB.
_KNOWS_BACKOFF: Final = (
    "(attribute_not_exists(backed_off_us) OR backed_off_us = :backed_off OR backed_off_us < :recovered)"
)
_UP_TO_DATE: Final = "(NOT contains(rejected_versions, :version) OR total_401s <= :read_after)"
_CLOSED: Final = "(attribute_not_exists(consecutive_401s) OR consecutive_401s < :open_after)"
_HALF_OPEN: Final = "(NOT contains(probed_versions, :version) AND consecutive_401s < :max_401s)"
_UNBLOCKED: Final = f"attribute_not_exists(blocked_by) AND {_KNOWS_BACKOFF} AND {_UP_TO_DATE}"


class DynamoDbCounterStore:
    """A CounterStore over one table, whose items expire by `expires_at`."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def increment(
        self, key: str, limits: Mapping[str, int], *, weight: int = 1, expires_at: datetime
    ) -> Collection[str]:
        return self._add_if_fits(key, limits, weight=weight, step=weight, expires_at=expires_at)

    def find_exhausted(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        return self._add_if_fits(key, limits, weight=1, step=0, expires_at=expires_at)

    def decrement(self, key: str, names: Collection[str], *, weight: int = 1) -> None:
        aliases = {f"#c{index}": name for index, name in enumerate(names)}
        conditional_update(
            self._client,
            "decrement counters",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression=f"ADD {_join_actions(aliases, ':minus')}",
            # An item that has expired meanwhile must not come back without an `expires_at`.
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=to_attributes({":minus": -weight}),
        )

    def take_block(self, key: str, *, block: int, least: int = 1, limit: int, expires_at: datetime) -> int:
        if limit < least:
            return 0
        values = {":expires_at": _to_unix_s(expires_at), ":block": block, ":highest": limit - least}
        granted, item = conditional_update(
            self._client,
            "take quota block",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression="SET expires_at = :expires_at ADD granted :block",
            ConditionExpression="attribute_not_exists(granted) OR granted <= :highest",
            ExpressionAttributeValues=to_attributes(values),
        )
        # The last block may exceed the limit: the part above it is not granted.
        return block - max(0, _read_counter(item, "granted") - limit) if granted else 0

    def read(self, key: str) -> Mapping[str, int]:
        with store_errors("read counter"):
            response = self._client.get_item(TableName=self._table, Key=_to_key(key), ConsistentRead=True)
        item = response.get("Item", {})
        return {name: _read_counter(item, name) for name in item if name not in _NO_COUNTERS}

    def _add_if_fits(
        self, key: str, limits: Mapping[str, int], *, weight: int, step: int, expires_at: datetime
    ) -> Collection[str]:
        """Add `step` to the counters if `weight` fits into all of their limits; return those into which it does not."""
        # A counter that does not exist yet meets any condition on its value.
        if too_small := [name for name, limit in limits.items() if limit < weight]:
            return too_small
        aliases = {f"#c{index}": name for index, name in enumerate(limits)}
        highest_values = {f":h{index}": limit - weight for index, limit in enumerate(limits.values())}
        conditions = (
            f"(attribute_not_exists({alias}) OR {alias} <= {highest})"
            for alias, highest in zip(aliases, highest_values, strict=True)
        )
        added, item = conditional_update(
            self._client,
            "increment counters",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression=f"SET expires_at = :expires_at ADD {_join_actions(aliases, ':step')}",
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=to_attributes(
                {":expires_at": _to_unix_s(expires_at), ":step": step, **highest_values}
            ),
        )
        return () if added else [name for name, limit in limits.items() if _read_counter(item, name) + weight > limit]


def _to_key(key: str) -> dict[str, Any]:
    return {"pk": {"S": key}}


def _join_actions(names: Collection[str], value: str) -> str:
    return ", ".join(f"{name} {value}" for name in names)


def _to_unix_s(instant: datetime) -> int:
    return int(instant.timestamp())


def _read_counter(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", "0"))


class DynamoDbProviderLimitStore:
    """A ProviderLimitStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._store_clock = StoreClock(client)

    def read(self, key: str) -> ProviderLimitState:
        with store_errors("read provider limit"):
            response = self._client.get_item(TableName=self._table, Key=build_provider_limit_key(key))
        return parse_limit_state(response.get("Item", {}))

    def reserve_next(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        return self._reserve(
            key,
            next_slot="next_slot_us + :length",
            condition="next_slot_us BETWEEN :now AND :latest",
            values={":length": slots.length_us, ":now": slots.now_us, ":latest": slots.latest_start_us},
            slots=slots,
            rule=rule,
            permit=permit,
        )

    def reserve_now(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        return self._reserve(
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
        applied, item = self._update(
            key,
            "record 401",
            update=f"{count} REMOVE permits.#worker",
            condition="attribute_exists(permits)",
            names={"#worker": worker},
            values=values,
        )
        if not applied:
            _, item = self._update(key, "record 401", update=count, values=values)
        return parse_limit_state(item)

    def return_permits(self, key: str, *, workers: Collection[str]) -> None:
        names = _number_names("worker", workers)
        self._update(
            key,
            "return permits",
            update=f"REMOVE {_join_permit_paths(names)}",
            condition="attribute_exists(permits)",
            names=names,
        )

    def reset_401s(self, key: str, *, expected_total_401s: int, versions: Collection[str]) -> None:
        self._update(
            key,
            "reset 401s",
            update="REMOVE consecutive_401s, probed_versions DELETE rejected_versions :versions",
            condition="total_401s = :expected",
            values={":expected": expected_total_401s, ":versions": set(versions)},
        )

    def forget_probed(self, key: str, *, keep: str) -> None:
        self._update(
            key,
            "forget probed versions",
            update="SET probed_versions = :only",
            condition="attribute_exists(probed_versions) AND attribute_not_exists(consecutive_401s)",
            values={":only": {keep}},
        )

    def back_off(self, key: str, *, percent: int, now_us: int, slot_us: int) -> None:
        self._update(
            key,
            "back off",
            update="SET backoff_percent = :percent, backed_off_us = :now",
            condition="attribute_not_exists(backed_off_us) OR backed_off_us < :slot",
            values={":percent": percent, ":now": now_us, ":slot": slot_us},
        )

    def block(self, key: str, *, code: str) -> None:
        self._update(key, "block address", update="SET blocked_by = :code", values={":code": code})

    def clock_ahead_s(self) -> float | None:
        return self._store_clock.ahead_s()

    def _reserve(
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
            ":backed_off": slots.backed_off_us,
            ":recovered": slots.recovered_us,
            ":open_after": rule.open_after_401s,
            ":max_401s": rule.max_consecutive_401s,
            ":version": rule.version,
            ":read_after": rule.read_after,
            ":probed": {rule.version},
        }
        if permit is None:
            granted, item = self._update(
                key,
                "reserve slot",
                update=f"{update} ADD probed_versions :probed",
                condition=f"{condition} AND {_UNBLOCKED} AND ({_CLOSED} OR {_HALF_OPEN})",
                values=values,
            )
            return LimitUpdate(granted=granted, state=parse_limit_state(item))
        granted, item = self._reserve_with_permit(
            permit, key, update=update, condition=condition, values=values, rule=rule
        )
        max_permits = {_CLOSED: rule.in_flight or 0, _HALF_OPEN: 1}
        circuits = [circuit for circuit, limit in max_permits.items() if len(permit.workers) <= limit]
        if not granted and not permit.expired and "permits" not in item and circuits:
            # The first permits of a state create the map: DynamoDB cannot set a member of a map that does not exist.
            circuit = " OR ".join(circuits)
            granted, item = self._update(
                key,
                "reserve slot",
                update=f"{update}, permits = :first ADD probed_versions :probed",
                # DynamoDB refuses redundant parentheses.
                condition=f"{condition} AND {_UNBLOCKED} AND attribute_not_exists(permits)"
                f" AND {f'({circuit})' if len(circuits) > 1 else circuit}",
                values=_drop_unused_values(circuit, values)
                | {":first": dict.fromkeys(permit.workers, permit.until_us)},
            )
        return LimitUpdate(granted=granted, state=parse_limit_state(item))

    def _reserve_with_permit(
        self, permit: Permit, key: str, *, update: str, condition: str, values: Mapping[str, Any], rule: CircuitRule
    ) -> tuple[bool, Mapping[str, Any]]:
        workers, expired = _number_names("worker", permit.workers), _number_names("expired", permit.expired)
        have_permits = " AND ".join(f"attribute_exists(permits.{name})" for name in workers)
        max_permits = {"closed": (rule.in_flight or 0) + len(expired), "half_open": 1 + len(expired)}

        def has_free_permits(circuit: str) -> str:
            return f"(size(permits) <= :{circuit}_new OR ({have_permits} AND size(permits) <= :{circuit}))"

        return self._update(
            key,
            "reserve slot",
            update=f"{update}, {', '.join(f'permits.{name} = :until' for name in workers)}"
            f"{' REMOVE ' + _join_permit_paths(expired) if expired else ''} ADD probed_versions :probed",
            condition=" AND ".join(
                [
                    condition,
                    f"attribute_exists(permits) AND {_UNBLOCKED}",
                    f"(({_CLOSED} AND {has_free_permits('closed')})"
                    f" OR ({_HALF_OPEN} AND {has_free_permits('half_open')}))",
                    *(f"permits.{name} = :{name[1:]}" for name in expired),
                ]
            ),
            names={**workers, **expired},
            values={
                **values,
                ":until": permit.until_us,
                **{f":{circuit}": limit for circuit, limit in max_permits.items()},
                **{f":{circuit}_new": limit - len(workers) for circuit, limit in max_permits.items()},
                **{f":{name[1:]}": permit.expired[worker] for name, worker in expired.items()},
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
        call: dict[str, Any] = {"TableName": self._table, "Key": build_provider_limit_key(key)}
        if condition:
            call["ConditionExpression"] = condition
        if names:
            call["ExpressionAttributeNames"] = names
        if values:
            call["ExpressionAttributeValues"] = to_attributes(values)
        return conditional_update(self._client, operation, UpdateExpression=update, **call)


def build_provider_limit_key(key: str) -> dict[str, Any]:
    """Return the primary key of the item with the state `key`."""
    return _to_key(f"PROVIDER_LIMIT#{key}")


def parse_limit_state(item: Mapping[str, Any]) -> ProviderLimitState:
    """Parse an item as DynamoDB returns it; the empty item is a state that was never used."""

    def read_number(name: str, default: int = 0) -> int:
        return int(item.get(name, {}).get("N", default))

    def read_texts(name: str) -> frozenset[str]:
        return frozenset(item.get(name, {}).get("SS", ()))

    return ProviderLimitState(
        next_slot_us=read_number("next_slot_us"),
        consecutive_401s=read_number("consecutive_401s"),
        total_401s=read_number("total_401s"),
        probed_versions=read_texts("probed_versions"),
        rejected_versions=read_texts("rejected_versions"),
        blocked_by=item.get("blocked_by", {}).get("S"),
        permits={worker: int(until["N"]) for worker, until in item.get("permits", {}).get("M", {}).items()},
        backoff_percent=read_number("backoff_percent", 100),
        backed_off_us=read_number("backed_off_us"),
    )


def _drop_unused_values(circuit: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the values that this condition on the circuit does not use: DynamoDB refuses unused values."""
    unused = {name for name in (":open_after", ":max_401s") if name not in circuit}
    return {name: value for name, value in values.items() if name not in unused}


def _number_names(kind: str, workers: Iterable[str]) -> dict[str, str]:
    return {f"#{kind}{number}": worker for number, worker in enumerate(workers)}


def _join_permit_paths(names: Iterable[str]) -> str:
    return ", ".join(f"permits.{name}" for name in names)

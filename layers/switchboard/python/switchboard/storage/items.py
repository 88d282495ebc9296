"""Convert plain values to DynamoDB's and back, and name the keys and attributes that several stores share.

boto3 can convert values, too (`boto3.dynamodb.types`). Its import takes a tenth of a cold start: botocore is loaded
without it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Clamped, Context, Decimal, Inexact, Overflow, Rounded, Underflow
from types import UnionType
from typing import Any, Final, TypeAlias

from switchboard.domain.errors import UnreadableItemError

Item: TypeAlias = Mapping[str, Any]
"""An item's attributes in DynamoDB's form."""

REPORT: Final = "report|"
"""Begins the attribute of a report about the item's own number, and goes on with the status."""
ORPHAN: Final = "orphan|"
"""Begins the attribute of any other report under this id, and goes on with its number and its status."""
CODE: Final = "code|"
"""Begins the attribute of a code that was read out, and goes on with the number that its report names, if any."""
VERIFICATION: Final = "verification"
CHANNEL: Final = "channel"
"""The kind of a verification's further channels."""
FALLBACK: Final = "fallback_after"
"""The attribute of every SMS with a code whose verification may fall back to a call."""
SMSID_PREFIX: Final = "SMS"
"""The key prefix of all items with an smsid, because a delivery report names nothing but the smsid."""

DUE_SHARDS: Final = 16
"""The partitions of the deadlines' index for one kind of order. DynamoDB writes 1,000 units a second to each."""

BY_DAY: Final = "by_day"
"""The index that lists all resources of one kind by the day of their `list_position`."""
DAY_SHARDS: Final = 4
"""The partitions of one kind and day in that index: a new item is written to it once, and never again."""

# The numbers that DynamoDB keeps exactly. Any other raises an error.
_NUMBERS: Final = Context(Emin=-128, Emax=126, prec=38, traps=[Clamped, Overflow, Inexact, Rounded, Underflow])


def to_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert plain values to DynamoDB attribute values, leaving out None."""
    return {name: _serialize(value) for name, value in values.items() if value is not None}


def from_attributes(item: Item) -> dict[str, Any]:
    """Convert an item's attributes to plain values. A number becomes a Decimal.

    Raises:
        TypeError: an attribute has no known type.
        ArithmeticError: a number is none.
    """
    return {name: _deserialize(attribute) for name, attribute in item.items()}


def _serialize(value: Any) -> dict[str, Any]:
    """Convert one value. A set holds texts.

    Raises:
        TypeError: DynamoDB has no type for it, such as a float.
    """
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(_NUMBERS.create_decimal(value))}
        case bytes():
            return {"B": value}
        case Mapping():
            return {"M": {name: _serialize(inner) for name, inner in value.items()}}
        case list() | tuple():
            return {"L": [_serialize(element) for element in value]}
        case set() | frozenset() if all(isinstance(element, str) for element in value):
            return {"SS": list(value)}
        case None:
            return {"NULL": True}
    raise TypeError(type(value).__name__)


def _deserialize(attribute: Mapping[str, Any]) -> Any:
    [(kind, value)] = attribute.items()
    match kind:
        case "S" | "BOOL" | "B":
            return value
        case "N":
            return _NUMBERS.create_decimal(value)
        case "M":
            return {name: _deserialize(inner) for name, inner in value.items()}
        case "L":
            return [_deserialize(element) for element in value]
        case "SS" | "BS":
            return set(value)
        case "NS":
            return {_NUMBERS.create_decimal(number) for number in value}
        case "NULL":
            return None
    raise TypeError(kind)


def require_type(kind: type | UnionType, *values: object) -> None:
    """Check values of an item, which another version or a hand may have written.

    Raises:
        TypeError: a value is not of `kind`.
    """
    if not all(isinstance(value, kind) for value in values):
        raise TypeError


def message_key(smsid: str) -> dict[str, Any]:
    """Return the key of the message or verification with this smsid."""
    return to_attributes({"pk": f"{SMSID_PREFIX}#{smsid}"})


def suppression_key(number: str) -> dict[str, Any]:
    """Return the key of the suppression of this number (E.164)."""
    return to_attributes({"pk": f"SUPPRESSION#{number}"})


def expiry(instant: datetime, retention: timedelta) -> int:
    """Return when an item of that instant may be deleted, in Unix seconds."""
    return int((instant + retention).timestamp())


def pending_partitions(kind: str) -> tuple[str, ...]:
    """Return the partitions in which the sweep finds what is pending of this kind, one for each shard.

    The first one has the name of the only partition of earlier versions, whose entries are found there.
    """
    return (f"pending#{kind}", *(f"pending#{kind}#{shard}" for shard in range(1, DUE_SHARDS)))


def pending_partition(kind: str, pk: str) -> str:
    """Return the partition for the item with this key. It follows from the key, so that no write has to read it."""
    return pending_partitions(kind)[zlib.crc32(pk.encode()) % DUE_SHARDS]


def day_partition_name(kind: str, position: str, shard: int) -> str:
    """Return the name of one partition of `by_day`: its kind, the UTC day with which a position begins, its shard."""
    return f"{kind}#{position[:10]}#{shard}"


def day_partition(kind: str, pk: str, position: str) -> str:
    """Return the partition of `by_day` for the item with this key and `list_position`."""
    return day_partition_name(kind, position, zlib.crc32(pk.encode()) % DAY_SHARDS)


def orphan_prefix(recipient: str | None) -> str:
    """Return how the attribute of an orphan begins that names this number, or none."""
    return f"{ORPHAN}{recipient or ''}|"


def set_all(item: Item) -> dict[str, Any]:
    """Return the arguments of an UpdateItem that sets every attribute of `item` but its key `pk`.

    Unlike PutItem it keeps what else is stored under the key.
    """
    names = [name for name in item if name != "pk"]
    return {
        "Key": {"pk": item["pk"]},
        "UpdateExpression": "SET " + ", ".join(f"#n{place} = :v{place}" for place, _ in enumerate(names)),
        "ExpressionAttributeNames": {f"#n{place}": name for place, name in enumerate(names)},
        "ExpressionAttributeValues": {f":v{place}": item[name] for place, name in enumerate(names)},
    }


def lease_key(*, recipient: str, line: str) -> dict[str, Any]:
    """Return the key of the lease on a number (E.164) and one of our lines."""
    return to_attributes({"pk": f"LEASE#{recipient}#{line}"})


@contextmanager
def decoding_errors(noun: str) -> Iterator[None]:
    """Turn what the conversion of an item's values raises into UnreadableItemError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnreadableItemError(f"read {noun}: {type(error).__name__}") from None

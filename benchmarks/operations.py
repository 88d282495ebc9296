"""DynamoDB operations for one call of each handler, counted where they arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.contenders import Contender, Field
from benchmarks.rows import Row
from benchmarks.stack import Stack

_CALLS: Final = 20
_AIMS: Final[Mapping[str, Mapping[str, int]]] = {
    "send_sms": {"PutItem StateTable": 1, "UpdateItem LimitsTable": 1, "UpdateItem StateTable": 1},
    "mediasms_delivery_webhook": {"UpdateItem StateTable": 1},
}
"""What each call may cost at most; nothing else, and so no read."""


def operation_rows(stack: Stack, field: Field) -> Iterator[Row]:
    """One row a handler, and what the minimal one makes beside it: warm calls are compared on the same requests."""
    for name, aim in _AIMS.items():
        ours = _operations(stack, field.ours[name])
        yield Row(
            what=f"DynamoDB, {name}",
            ours=_told(ours),
            baseline=_told(_operations(stack, field.minimal[name])),
            measured=f"{ours.total() / _CALLS:g} a call",
            aim=f"<= {sum(aim.values())}",
            met=all(count <= aim.get(operation, 0) * _CALLS for operation, count in ours.items()),
        )


def _operations(stack: Stack, contender: Contender) -> Counter[str]:
    stack.counted()
    contender.run(calls=_CALLS)
    service = "dynamodb "
    return Counter(
        {key.removeprefix(service): count for key, count in stack.counted().items() if key.startswith(service)}
    )


def _told(operations: Counter[str]) -> str:
    return "\n".join(f"{count / _CALLS:g} {operation}" for operation, count in sorted(operations.items()))

"""DynamoDB operations for one call of each handler, counted where they arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from benchmarks.contenders import Contender, Field
from benchmarks.rows import Row
from benchmarks.stack import Stack

_CALLS: Final = 200
_AIMS: Final[Mapping[str, Mapping[str, float]]] = {
    "send_sms": {"PutItem StateTable": 1, "UpdateItem LimitsTable": 1, "UpdateItem StateTable": 1},
    "mediasms_delivery_webhook": {"UpdateItem StateTable": 1},
}
"""What each call may cost at most; nothing else, and so no read."""

# The first slot that a state ever gives costs one write more.
_FIRST_OF_A_LANE: Final = 1
_SHARED_LIMITS: Final = ("CLIENT_LIMIT_PER_HOUR", "DAILY_LIMIT")
_LIMITS: Final = ("RECIPIENT_LIMIT_PER_MINUTE", "RECIPIENT_LIMIT_PER_HOUR", "RECIPIENT_LIMIT_PER_DAY", *_SHARED_LIMITS)
_OFF: Final = dict.fromkeys(_LIMITS, "0")
_UNREACHED: Final = dict.fromkeys(_LIMITS, "1000000000")
# One for the recipient; and a new container takes its shares of the client's and the day's limit in small blocks.
_OF_LIMITS: Final = 1.25


def operation_rows(stack: Stack, field: Field) -> Iterator[Row]:
    """One row a handler (two for the sender), and what the minimal one makes beside it: warm calls are compared on the
    same requests."""
    for name, aim in _AIMS.items():
        baseline = _told(_operations(stack, field.minimal[name]))
        ours = field.ours[name]
        free = replace(ours, environment={**ours.environment, **_OFF})
        yield _row(f"DynamoDB, {name}", _operations(stack, free), baseline=baseline, aim=aim)
        if name == "send_sms":
            limited = replace(ours, environment={**ours.environment, **_UNREACHED})
            more = {**aim, "UpdateItem LimitsTable": aim["UpdateItem LimitsTable"] + _OF_LIMITS}
            yield _row(f"DynamoDB, {name}, all limits on", _operations(stack, limited), baseline=baseline, aim=more)


def _row(what: str, ours: Counter[str], *, baseline: str, aim: Mapping[str, float]) -> Row:
    return Row(
        what=what,
        ours=_told(ours),
        baseline=baseline,
        measured=f"{ours.total() / _CALLS:g} a call",
        aim=f"<= {sum(aim.values()):g}",
        met=all(count <= aim.get(operation, 0) * _CALLS + _FIRST_OF_A_LANE for operation, count in ours.items()),
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

"""DynamoDB operations of one call of each handler, as the server counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from benchmarks.contenders import Contender, Contenders
from benchmarks.rows import Row
from benchmarks.stack import Stack

_CALLS: Final = 200
_GOALS: Final[Mapping[str, Mapping[str, float]]] = {
    "send_sms": {
        "GetItem StateTable": 1,
        "UpdateItem LimitsTable": 1,
        "UpdateItem StateTable": 2,
    },
    "mediasms_delivery_webhook": {"UpdateItem StateTable": 1},
}
"""The most that each call may cost: no other operation, and no read but that of the number's suppression."""

# The first slot of a provider limit costs one more write.
_FIRST_SLOT: Final = 1
_SHARED_LIMITS: Final = ("CLIENT_LIMIT_PER_HOUR", "DAILY_LIMIT")
_LIMITS: Final = ("RECIPIENT_LIMIT_PER_MINUTE", "RECIPIENT_LIMIT_PER_HOUR", "RECIPIENT_LIMIT_PER_DAY", *_SHARED_LIMITS)
_OFF: Final = dict.fromkeys(_LIMITS, "0")
_NEVER_REACHED: Final = dict.fromkeys(_LIMITS, "1000000000")
# One write for the recipient. A new container takes its blocks of the client's and the day's quota in small steps.
_WRITES_OF_LIMITS: Final = 1.25


def operation_rows(stack: Stack, contenders: Contenders) -> Iterator[Row]:
    """Count one row a handler (two for the sender), with the operations of the minimal handler beside it.

    They show that the rows of warm calls compare handlers with the same requests.
    """
    for name, goal in _GOALS.items():
        baseline = _format_operations(_count_operations(stack, contenders.minimal[name]))
        ours = contenders.ours[name]
        unlimited = replace(ours, environment={**ours.environment, **_OFF})
        yield _build_row(f"DynamoDB, {name}", _count_operations(stack, unlimited), baseline=baseline, goal=goal)
        if name == "send_sms":
            limited = replace(ours, environment={**ours.environment, **_NEVER_REACHED})
            limited_goal = {**goal, "UpdateItem LimitsTable": goal["UpdateItem LimitsTable"] + _WRITES_OF_LIMITS}
            operations = _count_operations(stack, limited)
            yield _build_row(f"DynamoDB, {name}, all limits on", operations, baseline=baseline, goal=limited_goal)


def _build_row(what: str, ours: Counter[str], *, baseline: str, goal: Mapping[str, float]) -> Row:
    return Row(
        what=what,
        ours=_format_operations(ours),
        baseline=baseline,
        measured=f"{ours.total() / _CALLS:g} a call",
        goal=f"<= {sum(goal.values()):g}",
        met=all(count <= goal.get(operation, 0) * _CALLS + _FIRST_SLOT for operation, count in ours.items()),
    )


def _count_operations(stack: Stack, contender: Contender) -> Counter[str]:
    stack.take_counts()
    contender.run(calls=_CALLS)
    service = "dynamodb "
    return Counter(
        {key.removeprefix(service): count for key, count in stack.take_counts().items() if key.startswith(service)}
    )


def _format_operations(operations: Counter[str]) -> str:
    return "\n".join(f"{count / _CALLS:g} {operation}" for operation, count in sorted(operations.items()))

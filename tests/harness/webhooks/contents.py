"""Hold what the store can hold, and what each operation on it answers and leaves.

An operation is applied once to the same content. `Contents` applies it to the fake;
tests/contract/test_subscription_store.py applies it to the DynamoDB store as well, whose answer and content must be the
fake's.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from switchboard.domain.subscription.subscriptions import ChangedItem, OwedPost, Subscription
from tests.fakes.subscriptions import InMemorySubscriptionStore

T = TypeVar("T", bound=Hashable)


class Interned(Generic[T]):
    """Values by numbers: equal values have one number."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        """Return the value's number."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One call of a port. Equal calls are one object."""

    port: str
    name: str
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def values(self) -> Hashable:
        """What makes calls equal."""
        return self.port, self.name, self.arguments, self.options

    def call(self, target: object) -> Any:
        """Make the call."""
        return getattr(target, self.name)(*self.arguments, **dict(self.options))

    def __str__(self) -> str:
        return f"{self.port}.{self.name}"


class Content(NamedTuple):
    """What the store holds: the subscription, and the marks in the order of their items."""

    subscription: Subscription
    marks: tuple[OwedPost, ...]


class Contents:
    """The store's contents, and what each operation on them answers and leaves."""

    def __init__(self, store: type[InMemorySubscriptionStore]) -> None:
        self.known = Interned[Content]()
        self.operations = 0
        self._store = store()
        self._applied: dict[tuple[int, int, Operation], tuple[Any, int]] = {}
        self._answers = Interned[Any]()

    def apply(self, content: int, index: int, operation: Operation) -> tuple[Any, int]:
        """Return the operation's answer, and the content that it leaves, while the index shows the content `index`."""
        key = content, index, operation
        if key not in self._applied:
            self.operations += 1
            self._applied[key] = self._apply(*key)
        return self._applied[key]

    def _apply(self, content: int, index: int, operation: Operation) -> tuple[Any, int]:
        self._store.subscriptions, self._store.marks = _to_dicts(self.known.values[content])
        self._store.index = _to_dicts(self.known.values[index])
        answer = operation.call(self._store)
        [subscription] = self._store.subscriptions.values()
        marks = tuple(sorted(self._store.marks.values(), key=lambda mark: mark.item.id))
        if not (answer is None or isinstance(answer, bool | Subscription | OwedPost)):
            answer = tuple(answer)
        answer = self._answers.values[self._answers.number((type(answer), answer))][1]
        return answer, self.known.number(Content(subscription, marks))


def _to_dicts(content: Content) -> tuple[dict[str, Subscription], dict[tuple[str, ChangedItem], OwedPost]]:
    marks = {(mark.subscription, mark.item): mark for mark in content.marks}
    return {content.subscription.id: content.subscription}, marks

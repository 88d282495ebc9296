"""A retrying store repeats the named methods once, and only after StoreUnavailableError."""

from __future__ import annotations

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.storage.retrying import retrying


class _Counter:
    """A store that does not answer its first `unanswered` calls."""

    def __init__(self, unanswered: int) -> None:
        self.unanswered = unanswered
        self.calls = 0

    def add(self, number: int, *, times: int = 1) -> int:
        self.calls += 1
        if self.calls <= self.unanswered:
            raise StoreUnavailableError("add")
        return number * times

    def subtract(self, number: int) -> int:
        return self.add(-number)


def test_a_named_method_is_retried_once() -> None:
    store = _Counter(unanswered=1)
    assert retrying(store, "add").add(2, times=3) == 6
    assert store.calls == 2


def test_a_second_failure_is_raised() -> None:
    store = _Counter(unanswered=2)
    with pytest.raises(StoreUnavailableError):
        retrying(store, "add").add(2)
    assert store.calls == 2


def test_other_methods_and_attributes_stay_as_they_are() -> None:
    store = _Counter(unanswered=1)
    with pytest.raises(StoreUnavailableError):
        retrying(store, "add").subtract(2)
    assert retrying(store, "add").unanswered == 1


def test_other_errors_are_not_retried() -> None:
    store = _Counter(unanswered=0)
    with pytest.raises(TypeError):
        retrying(store, "add").add("a", times="b")  # type: ignore[arg-type]  # the error is the point
    assert store.calls == 1


def test_an_unknown_method_raises_at_once() -> None:
    with pytest.raises(AttributeError):
        retrying(_Counter(unanswered=0), "multiply")

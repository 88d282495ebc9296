"""Stores that do not answer, always or when they are told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast

from switchboard.domain.errors import StoreUnavailableError

P = TypeVar("P")


class _Down:
    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> object:
            raise StoreUnavailableError(operation)

        return call


def down(port: type[P]) -> P:
    """A store of that kind which never answers."""
    return cast("P", _Down())


class Answer(StrEnum):
    """What becomes of one call to a store."""

    GIVEN = "given"
    LOST = "lost"
    NOT_APPLIED = "not_applied"


class _Flaky:
    def __init__(self, port: object, answers: Mapping[str, Sequence[Answer]]) -> None:
        missing = [name for name in answers if not callable(getattr(port, name, None))]
        assert not missing, f"{type(port).__name__} has no {missing}"
        self._port = port
        self._answers = {operation: deque(script) for operation, script in answers.items()}

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> object:
            script = self._answers.get(operation)
            answer = script.popleft() if script else Answer.GIVEN
            if answer is Answer.NOT_APPLIED:
                raise StoreUnavailableError(operation)
            result = getattr(self._port, operation)(*args, **kwargs)
            if answer is Answer.LOST:
                raise StoreUnavailableError(operation)
            return result

        return call


def flaky(port: P, **answers: Sequence[Answer]) -> P:
    """The same store, whose named operations answer as told, one call after another, and then as they should."""
    return cast("P", _Flaky(port, answers))

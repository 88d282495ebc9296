"""Stores that do not answer, always or by a script."""

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
    """Build a store of this kind which never answers."""
    return cast("P", _Down())


class Answer(StrEnum):
    """The fate of one call to a store."""

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
    """Wrap a store so that the named operations follow their scripts, and then answer."""
    return cast("P", _Flaky(port, answers))

"""Retry idempotent store calls once after StoreUnavailableError."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from switchboard.domain.errors import StoreUnavailableError

S = TypeVar("S")


class _RetryingStore:
    """A store whose idempotent methods are called a second time if the first call gets no answer."""

    def __init__(self, store: object, methods: tuple[str, ...]) -> None:
        self._store = store
        for name in methods:
            setattr(self, name, _retry_once(getattr(store, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def retrying(store: S, *methods: str) -> S:
    """Wrap `store` so that the named methods are retried once after StoreUnavailableError.

    Every named method must be harmless when repeated with the same arguments. All other methods stay as they are.

    Raises:
        AttributeError: the store has no method with one of these names.
    """
    return cast("S", _RetryingStore(store, methods))


def _retry_once(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def retry(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except StoreUnavailableError:
            return call(*args, **kwargs)

    return retry

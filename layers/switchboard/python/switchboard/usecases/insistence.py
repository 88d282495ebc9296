"""Asking the store once more where it gave no answer, for calls that are harmless when repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from switchboard.domain.errors import StoreUnavailableError

T = TypeVar("T")

_TRIES = 2


def insist(call: Callable[[], T]) -> T:
    """Makes a repeatable call again while the store gives no answer. Raises the last StoreUnavailableError."""
    for _ in range(_TRIES - 1):
        try:
            return call()
        except StoreUnavailableError:
            continue
    return call()

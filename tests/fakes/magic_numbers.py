"""The magic numbers of tests without test clients."""

from __future__ import annotations

from typing import NoReturn


def no_magic_numbers() -> NoReturn:
    """Fail: only a test order asks for magic numbers."""
    raise AssertionError("no order of this test is a test order")

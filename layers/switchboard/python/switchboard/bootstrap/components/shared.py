"""Holds what every application needs: the clock and new ids."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from secrets import token_hex
from typing import Final

from switchboard.clock import SystemClock

CLOCK: Final = SystemClock()

new_id: Final[Callable[[], str]] = partial(token_hex, 16)
"""Makes 32 random hexadecimal digits."""

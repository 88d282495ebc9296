"""Hold the numbers to which this deployment sends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

MAX_REASON_LENGTH: Final = 200
"""The longest reason that a suppression keeps."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """A number (E.164) that no route contacts, whichever client asks. `reason` is for people."""

    number: str
    reason: str | None
    created_at: datetime

"""Translate providers' delivery statuses into one closed vocabulary, and hold the reports that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

MAX_UNLISTED_REPORTS: Final = 20
"""The different statuses without a row in the table that a message keeps of its own number."""

MAX_ORPHANS: Final = 20
"""The different reports that one id keeps of other numbers, or before it is a message."""


class DeliveryMeaning(StrEnum):
    """The meaning of one report. `unlisted` is a value: the raw status is kept and changes no state."""

    DELIVERED = "delivered"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    IN_PROGRESS = "in_progress"
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """One row of a provider's status table: its code, the provider's own name for it, and our reading of it."""

    code: str
    name: str
    meaning: DeliveryMeaning


@dataclass(frozen=True, slots=True)
class StatusTable:
    """A provider's statuses by code. It is read at each look at a message, so a corrected table corrects history."""

    rows: Mapping[str, DeliveryStatus]

    def __getitem__(self, code: str) -> DeliveryStatus:
        return self.rows.get(code) or DeliveryStatus(code=code, name=code, meaning=DeliveryMeaning.UNLISTED)


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A provider's report about one message.

    `status` is the table's code, or the raw text if the table has no row for it. `recipient` is the number that the
    report names, in E.164 if it can be read as a number, or None if the report names none.
    """

    smsid: str
    status: str
    recipient: str | None


@dataclass(frozen=True, slots=True)
class ReportFact:
    """The fact that a report with this status came about the message's own number, and when it first came."""

    status: str
    first_seen_at: datetime

"""What becomes of a message after its provider took it: a closed vocabulary for every provider's codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryMeaning(StrEnum):
    """What one report says about a message. `unlisted` is a value: the raw status is kept and changes no state."""

    DELIVERED = "delivered"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    IN_PROGRESS = "in_progress"
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """One row of a provider's status table: its code, its own name for it, and what we read it as."""

    code: str
    name: str
    meaning: DeliveryMeaning


@dataclass(frozen=True, slots=True)
class StatusTable:
    """A provider's statuses by code. Read when a message is looked at, so that correcting it corrects history."""

    rows: Mapping[str, DeliveryStatus]

    def __getitem__(self, code: str) -> DeliveryStatus:
        return self.rows.get(code) or DeliveryStatus(code=code, name=code, meaning=DeliveryMeaning.UNLISTED)


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A provider's news about one message.

    `status` is the table's code, or the raw text where no row has it. `recipient` is the number the report
    names, in E.164 where it can be read as one, or None where the report names none.
    """

    smsid: str
    status: str
    recipient: str | None


@dataclass(frozen=True, slots=True)
class ReportFact:
    """That such a report came, and when it came first."""

    status: str
    recipient: str | None
    first_seen_at: datetime

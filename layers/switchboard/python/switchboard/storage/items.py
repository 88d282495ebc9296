"""Plain values as DynamoDB's, and where in the StateTable messages, verifications and their news lie."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from switchboard.domain.sms.delivery import DeliveryReport

REPORT = "report|"
CODE = "code|"
VERIFICATION = "verification"
# Whatever has an smsid lies here: a report names nothing else.
SMSID_PREFIX = "SMS"
_serialize = TypeSerializer().serialize


def to_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB attribute values; None is left out."""
    return {name: _serialize(value) for name, value in values.items() if value is not None}


def message_key(smsid: str) -> dict[str, Any]:
    return to_attributes({"pk": f"{SMSID_PREFIX}#{smsid}"})


def expiry(instant: datetime, retention: timedelta) -> int:
    """When an item may be forgotten, in Unix seconds."""
    return int((instant + retention).timestamp())


def report_attribute(report: DeliveryReport) -> str:
    """One attribute for each (status, number): the same report again finds its own place."""
    return f"{REPORT}{report.recipient or ''}|{report.status}"


def code_attribute(recipient: str | None) -> str:
    """One attribute for each number that a code's report names."""
    return f"{CODE}{recipient or ''}"


def lease_key(*, recipient: str, line: str) -> dict[str, Any]:
    """Where the lease on a number (E.164) and one of our lines lies."""
    return to_attributes({"pk": f"LEASE#{recipient}#{line}"})

"""Hold what a provider reports of a verification. A webhook loads this module, and not the verifications."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from switchboard.domain.sms.delivery import DeliveryReport


class VerificationMode(StrEnum):
    """The ways to verify a number, by who sends or calls whom."""

    SMS_CODE = "sms_code"
    """The number's owner tells the code that we send by SMS."""

    CALL_IN = "call_in"
    """The number's owner dials our line."""
    SMS_AND_CALL_IN = "sms_and_call_in"
    """The number's owner dials our line after receiving an SMS."""
    CALL_OUT = "call_out"
    """The provider calls the number and reads out a code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IvrCallEvent:
    """A provider's report that a number has called a line in time.

    `recipient` is that number in E.164, or its bare digits if it is in no known form. `line` is in national form, 11
    digits. `mode` is CALL_IN or SMS_AND_CALL_IN. `smsid` is None if the provider names none.
    """

    recipient: str = field(repr=False)
    line: str
    mode: VerificationMode
    smsid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDeliveryReport:
    """A delivery report with the code, if any, that the provider's call read out.

    `authcode` is a secret: digits, or None. `authcode_unreadable` means that the report carried no single
    code of digits, so that no check of this verification can succeed. The report itself counts all the same.
    """

    report: DeliveryReport
    authcode: str | None = field(default=None, repr=False)
    authcode_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class CodeHash:
    """The keyed hash of a code that a call read out. The code itself is stored nowhere.

    `key_version` names the code key. `at` is when its report first came. `recipient` is the number that the report
    names, or None.
    """

    key_version: str
    digest: bytes = field(repr=False)
    at: datetime
    recipient: str | None = field(default=None, repr=False)

"""Verification by telephone: what is submitted for it, and the news that decides it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from switchboard.domain.delivery import DeliveryReport
from switchboard.domain.messages import SmsContent


class VerificationMode(StrEnum):
    """Who calls whom."""

    CALL_IN = "call_in"
    """The number's owner dials our line."""
    SMS_AND_CALL_IN = "sms_and_call_in"
    """The same, after an SMS."""
    CALL_OUT = "call_out"
    """The provider calls the number and reads out a code."""


class VerificationLines(StrEnum):
    """Which sort of subscription the number to be verified may belong to."""

    MOBILE = "mobile"
    FIXED = "fixed"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSubmission:
    """One verification as a provider is asked for it.

    `recipient` is E.164. `line` is our 050 number in national form, 11 digits. `holding_minutes` is how long a call
    counts. `repeat_calls`, how often to call until somebody answers, belongs to CALL_OUT and is needed there.
    `content` is the SMS, needed for SMS_AND_CALL_IN only.
    """

    smsid: str
    recipient: str = field(repr=False)
    mode: VerificationMode
    line: str
    holding_minutes: int
    repeat_calls: int | None = None
    lines: VerificationLines = VerificationLines.MOBILE
    content: SmsContent | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IvrNotice:
    """A provider's word that a number has called a line in time.

    `recipient` is that number in E.164, or its bare digits where it is in no known form. `line` is in national form,
    11 digits. `mode` is CALL_IN or SMS_AND_CALL_IN. `smsid` is None where the provider names none.
    """

    recipient: str = field(repr=False)
    line: str
    mode: VerificationMode
    smsid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryNotification:
    """A delivery report, and the code that was read out to the number, where it carries one.

    `authcode` is a secret: digits, or None. `authcode_unreadable` says that there was one which is no such thing, so
    that the check of this verification cannot succeed; the report counts all the same.
    """

    report: DeliveryReport
    authcode: str | None = field(default=None, repr=False)
    authcode_unreadable: bool = False

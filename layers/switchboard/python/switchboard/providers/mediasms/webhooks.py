"""Parse the callbacks of MediaSMS. This module imports nothing that a webhook's cold start does not need."""

from __future__ import annotations

import re
import unicodedata
from operator import methodcaller
from typing import Final

from switchboard.domain.errors import InvalidRequestError, WebhookUnreadableError
from switchboard.domain.order_ids import ORDER_ID
from switchboard.domain.phone_numbers import MAX_WRITTEN_LENGTH, NumberKind, parse_phone_number, plain_digits
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.callbacks import IvrCallEvent, ParsedDeliveryReport, VerificationMode
from switchboard.ports.callbacks import CallbackParams
from switchboard.providers.mediasms.response_codes import MAX_STATUS_LENGTH, plain_number, status_code_of

MAX_AUTHCODE_DIGITS: Final = 16
"""The maximum length of a code: more digits than a call would read out. The document gives no length."""

_AUTHCODE: Final = re.compile(rf"[0-9]{{1,{MAX_AUTHCODE_DIGITS}}}")
_CALL_IN_MODES: Final = {"2": VerificationMode.SMS_AND_CALL_IN, "4": VerificationMode.CALL_IN}
_WITH_COUNTRY_CODE: Final = re.compile(r"[1-9][0-9]{10,14}")
_to_ascii_digits: Final = methodcaller("translate", str.maketrans("０１２３４５６７８９", "0123456789"))


def parse_delivery_report(params: CallbackParams) -> DeliveryReport:
    """Parse the report in one callback (section SMS送達結果通知API).

    `smsid` and `status` are required; `mobilenumber` is optional. These three decide. Every other parameter echoes the
    request and is not read, least of all `authcode`.

    Raises:
        WebhookUnreadableError: a parameter is missing, malformed or ambiguous. The error quotes no value.
    """
    smsid = params.find_only("smsid")
    if not ORDER_ID.fullmatch(smsid):
        raise WebhookUnreadableError("a delivery report's smsid is missing or is not 1 to 50 letters and digits")
    status = params.find_only("status", read=_parse_status)
    if not status:
        raise WebhookUnreadableError("a delivery report's status is missing")
    recipient = params.find_only("mobilenumber", read=_parse_recipient)
    return DeliveryReport(smsid=smsid, status=status, recipient=recipient or None)


def parse_delivery_callback(params: CallbackParams) -> ParsedDeliveryReport:
    """Parse the report, and the `authcode` that comes with a call's report (section パラメータ群, method 5).

    An `authcode` that is not 1 to MAX_AUTHCODE_DIGITS digits, or has two different values, is dropped and marked as
    unreadable: the report is not lost with it.

    Raises:
        WebhookUnreadableError: as for `parse_delivery_report`.
    """
    report = parse_delivery_report(params)
    try:
        authcode = params.find_only("authcode", read=_to_ascii_digits)
    except WebhookUnreadableError:
        return ParsedDeliveryReport(report=report, authcode_unreadable=True)
    if not authcode:
        return ParsedDeliveryReport(report=report)
    if not _AUTHCODE.fullmatch(authcode):
        return ParsedDeliveryReport(report=report, authcode_unreadable=True)
    return ParsedDeliveryReport(report=report, authcode=authcode)


def parse_ivr_call(params: CallbackParams) -> IvrCallEvent:
    """Parse the successful call in one callback (section IVRAPI).

    `method` (2 or 4), `mobilenumber` and `ipphone` are required. `smsid` is optional: no list of the document has it.
    These four decide.

    Raises:
        WebhookUnreadableError: a parameter is missing, malformed or ambiguous. The error quotes no value.
    """
    mode = _CALL_IN_MODES.get(params.find_only("method", read=_parse_method))
    if mode is None:
        raise WebhookUnreadableError("an IVR callback's method is missing or is neither 2 nor 4")
    recipient = params.find_only("mobilenumber", read=_parse_recipient)
    if not recipient:
        raise WebhookUnreadableError("an IVR callback's mobilenumber is missing or has no digits")
    line = params.find_only("ipphone", read=_parse_line)
    if not line:
        raise WebhookUnreadableError("an IVR callback's ipphone is missing")
    smsid = params.find_only("smsid")
    if smsid and not ORDER_ID.fullmatch(smsid):
        raise WebhookUnreadableError("an IVR callback's smsid is not 1 to 50 letters and digits")
    return IvrCallEvent(recipient=recipient, line=line, mode=mode, smsid=smsid or None)


def _parse_status(text: str) -> str:
    if len(text) > MAX_STATUS_LENGTH or not "".join(text.split()).isprintable():
        raise WebhookUnreadableError("a delivery report's status is too long or unprintable")
    return status_code_of(text)


def _parse_method(text: str) -> str:
    return plain_number(text) or text


def _parse_line(text: str) -> str:
    """Parse the 050 number into national form."""
    try:
        number = parse_phone_number(text)
    except InvalidRequestError:
        number = None
    if number is None or number.kind is not NumberKind.IP_PHONE:
        raise WebhookUnreadableError("an IVR callback's ipphone is no 050 number")
    return number.national


def _parse_recipient(text: str) -> str:
    """Parse the number into E.164, or into its bare digits if it has neither the national nor the country-code form."""
    try:
        return parse_phone_number(text).e164
    except InvalidRequestError:
        normal = unicodedata.normalize("NFKC", text[:MAX_WRITTEN_LENGTH])
        digits = "".join(character for character in normal if character in "0123456789")
        return _parse_without_plus(text) or digits


def _parse_without_plus(text: str) -> str | None:
    """Parse a number that begins with its country code, as the document writes overseas numbers."""
    try:
        written = plain_digits(text)
        return parse_phone_number(f"+{written}").e164 if _WITH_COUNTRY_CODE.fullmatch(written) else None
    except InvalidRequestError:
        return None

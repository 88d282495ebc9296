"""Parse the callbacks of MediaSMS. This module imports nothing that a webhook's cold start does not need."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from switchboard.domain.errors import InvalidRequestError, WebhookUnreadableError
from switchboard.domain.orders import ORDER_ID
from switchboard.domain.phone_numbers import MAX_WRITTEN_LENGTH, NumberKind, parse_phone_number
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.verifications import IvrCallEvent, ParsedDeliveryReport, VerificationMode
from switchboard.providers.mediasms.response_codes import MAX_STATUS_LENGTH, status_code_of

MAX_AUTHCODE_DIGITS: Final = 16
"""The maximum length of a code: more digits than a call would read out. The document gives no length."""

_AUTHCODE: Final = re.compile(rf"[0-9]{{1,{MAX_AUTHCODE_DIGITS}}}")
_CALL_IN_MODES: Final = {"2": VerificationMode.SMS_AND_CALL_IN, "4": VerificationMode.CALL_IN}
_WITH_COUNTRY_CODE: Final = re.compile(r"[1-9][0-9]{10,14}")
_REPORT: Final = "a delivery report"
_IVR: Final = "an IVR callback"
# A gateway puts this character for bytes of a query that are not UTF-8. So 送信済 in Shift_JIS is not taken for an
# unlisted status.
_REPLACEMENT_CHARACTER: Final = "\ufffd"
_FULL_WIDTH: Final = str.maketrans("０１２３４５６７８９", "0123456789")


def parse_delivery_report(params: Mapping[str, str]) -> DeliveryReport:
    """Parse the report in one callback (section SMS送達結果通知API), with parameter names in any case.

    `smsid` and `status` are required; `mobilenumber` is optional. Every other parameter echoes the request and is not
    read, least of all `authcode`.

    Raises:
        WebhookUnreadableError: a parameter is missing or malformed. The error quotes no value.
    """
    smsid = _find_value(params, "smsid", of=_REPORT)
    if not ORDER_ID.fullmatch(smsid):
        raise WebhookUnreadableError("a delivery report's smsid is missing or is not 1 to 50 letters and digits")
    status = _find_value(params, "status", of=_REPORT)
    if not status or len(status) > MAX_STATUS_LENGTH or not "".join(status.split()).isprintable():
        raise WebhookUnreadableError("a delivery report's status is missing, too long or unprintable")
    if _REPLACEMENT_CHARACTER in status:
        raise WebhookUnreadableError("a delivery report's status is not in UTF-8")
    recipient = _parse_recipient(_find_value(params, "mobilenumber", of=_REPORT))
    return DeliveryReport(smsid=smsid, status=status_code_of(status), recipient=recipient)


def parse_delivery_callback(params: Mapping[str, str]) -> ParsedDeliveryReport:
    """Parse the report, and the `authcode` that comes with a call's report (section パラメータ群, method 5).

    An `authcode` that is not 1 to MAX_AUTHCODE_DIGITS digits, or has two different values, is dropped and marked as
    unreadable: the report is not lost with it.

    Raises:
        WebhookUnreadableError: as for `parse_delivery_report`.
    """
    report = parse_delivery_report(params)
    authcodes = {value.translate(_FULL_WIDTH) for value in _find_values(params, "authcode")} - {""}
    if not authcodes:
        return ParsedDeliveryReport(report=report)
    authcode = authcodes.pop()
    if authcodes or not _AUTHCODE.fullmatch(authcode):
        return ParsedDeliveryReport(report=report, authcode_unreadable=True)
    return ParsedDeliveryReport(report=report, authcode=authcode)


def parse_ivr_call(params: Mapping[str, str]) -> IvrCallEvent:
    """Parse the successful call in one callback (section IVRAPI), with parameter names in any case.

    `method` (2 or 4), `mobilenumber` and `ipphone` are required. `smsid` is optional: no list of the document has it.

    Raises:
        WebhookUnreadableError: a parameter is missing or malformed. The error quotes no value.
    """
    mode = _CALL_IN_MODES.get(_find_value(params, "method", of=_IVR))
    if mode is None:
        raise WebhookUnreadableError("an IVR callback's method is missing or is neither 2 nor 4")
    recipient = _parse_recipient(_find_value(params, "mobilenumber", of=_IVR))
    if recipient is None:
        raise WebhookUnreadableError("an IVR callback's mobilenumber is missing or has no digits")
    smsid = _find_value(params, "smsid", of=_IVR)
    if smsid and not ORDER_ID.fullmatch(smsid):
        raise WebhookUnreadableError("an IVR callback's smsid is not 1 to 50 letters and digits")
    return IvrCallEvent(
        recipient=recipient, line=_parse_line(_find_value(params, "ipphone", of=_IVR)), mode=mode, smsid=smsid or None
    )


def _find_value(params: Mapping[str, str], name: str, *, of: str) -> str:
    """Return the parameter's value without surrounding white space, or an empty text if it is absent."""
    values = _find_values(params, name)
    if len(values) > 1:
        raise WebhookUnreadableError(f"{of} has two different values of {name}")
    return values.pop() if values else ""


def _find_values(params: Mapping[str, str], name: str) -> set[str]:
    return {value.strip() for key, value in params.items() if key.strip().lower() == name}


def _parse_line(text: str) -> str:
    """Parse the 050 number into national form."""
    try:
        number = parse_phone_number(text)
    except InvalidRequestError:
        number = None
    if number is None or number.kind is not NumberKind.IP_PHONE:
        raise WebhookUnreadableError("an IVR callback's ipphone is missing or is no 050 number")
    return number.national


def _parse_recipient(text: str) -> str | None:
    """Parse the number into E.164, or into its bare digits if it has neither the national nor the country-code form."""
    normal = unicodedata.normalize("NFKC", text[:MAX_WRITTEN_LENGTH])
    digits = "".join(character for character in normal if character in "0123456789")
    if not digits:
        return None
    try:
        if _WITH_COUNTRY_CODE.fullmatch(digits):  # the document writes overseas numbers without a plus sign
            return parse_phone_number("+" + normal.replace("+", "")).e164
        return parse_phone_number(text).e164
    except InvalidRequestError:
        return digits

"""Reads what MediaSMS pushes to us. Imports nothing that a webhook's cold start does not need."""

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
"""The document gives the generated number no length: more digits than anybody would read out."""

_AUTHCODE: Final = re.compile(rf"[0-9]{{1,{MAX_AUTHCODE_DIGITS}}}")
_CALL_IN_MODES: Final = {"2": VerificationMode.SMS_AND_CALL_IN, "4": VerificationMode.CALL_IN}
_WITH_COUNTRY_CODE: Final = re.compile(r"[1-9][0-9]{10,14}")
_IVR: Final = "an IVR callback"
# What a gateway makes of a query's bytes that are no UTF-8: 送信済 in Shift_JIS is no status that nobody lists.
_LOST: Final = "\ufffd"
_FULL_WIDTH: Final = str.maketrans("０１２３４５６７８９", "0123456789")


def parse_delivery_report(params: Mapping[str, str]) -> DeliveryReport:
    """The report in one notification (section SMS送達結果通知API), parameter names in any case.

    `smsid` and `status` are what it needs; `mobilenumber` is read where present. Every other parameter echoes the
    request and is not looked at, least of all `authcode`. Raises WebhookUnreadableError, which quotes no value.
    """
    smsid = _value(params, "smsid", of="a delivery report")
    if not ORDER_ID.fullmatch(smsid):
        raise WebhookUnreadableError("a delivery report's smsid is missing or is not 1 to 50 letters and digits")
    status = _value(params, "status", of="a delivery report")
    if not status or len(status) > MAX_STATUS_LENGTH or not "".join(status.split()).isprintable():
        raise WebhookUnreadableError("a delivery report's status is missing, too long or unprintable")
    if _LOST in status:
        raise WebhookUnreadableError("a delivery report's status came in another encoding than UTF-8")
    recipient = _recipient(_value(params, "mobilenumber", of="a delivery report"))
    return DeliveryReport(smsid=smsid, status=status_code_of(status), recipient=recipient)


def parse_delivery_callback(params: Mapping[str, str]) -> ParsedDeliveryReport:
    """The report, and the `authcode` that comes with a call's (section パラメータ群, method 5).

    An `authcode` that is not 1 to MAX_AUTHCODE_DIGITS digits, or is given twice and differently, is dropped and said
    to be unreadable: the report is not lost with it. Raises WebhookUnreadableError like `parse_delivery_report`.
    """
    report = parse_delivery_report(params)
    given = {value.translate(_FULL_WIDTH) for value in _values(params, "authcode")} - {""}
    if not given:
        return ParsedDeliveryReport(report=report)
    authcode = given.pop()
    if given or not _AUTHCODE.fullmatch(authcode):
        return ParsedDeliveryReport(report=report, authcode_unreadable=True)
    return ParsedDeliveryReport(report=report, authcode=authcode)


def parse_ivr_call(params: Mapping[str, str]) -> IvrCallEvent:
    """The success in one callback (section IVRAPI), parameter names in any case.

    `method` (2 or 4), `mobilenumber` and `ipphone` are what it needs. `smsid` is in no list of the document's: it is
    read where present. Raises WebhookUnreadableError, which quotes no value.
    """
    mode = _CALL_IN_MODES.get(_value(params, "method", of=_IVR))
    if mode is None:
        raise WebhookUnreadableError("an IVR callback's method is missing or is neither 2 nor 4")
    recipient = _recipient(_value(params, "mobilenumber", of=_IVR))
    if recipient is None:
        raise WebhookUnreadableError("an IVR callback's mobilenumber is missing or has no digits")
    smsid = _value(params, "smsid", of=_IVR)
    if smsid and not ORDER_ID.fullmatch(smsid):
        raise WebhookUnreadableError("an IVR callback's smsid is not 1 to 50 letters and digits")
    return IvrCallEvent(
        recipient=recipient, line=_line(_value(params, "ipphone", of=_IVR)), mode=mode, smsid=smsid or None
    )


def _value(params: Mapping[str, str], name: str, *, of: str) -> str:
    """The parameter's value without surrounding white space; empty where it is absent."""
    values = _values(params, name)
    if len(values) > 1:
        raise WebhookUnreadableError(f"{of} gives {name} twice, and differently")
    return values.pop() if values else ""


def _values(params: Mapping[str, str], name: str) -> set[str]:
    return {value.strip() for key, value in params.items() if key.strip().lower() == name}


def _line(written: str) -> str:
    """The 050 number in national form."""
    try:
        number = parse_phone_number(written)
    except InvalidRequestError:
        number = None
    if number is None or number.kind is not NumberKind.IP_PHONE:
        raise WebhookUnreadableError("an IVR callback's ipphone is missing or is no 050 number")
    return number.national


def _recipient(written: str) -> str | None:
    """The number in E.164; its bare digits where it is in neither the national nor the country-code form."""
    normal = unicodedata.normalize("NFKC", written[:MAX_WRITTEN_LENGTH])
    digits = "".join(each for each in normal if each in "0123456789")
    if not digits:
        return None
    try:
        if _WITH_COUNTRY_CODE.fullmatch(digits):  # as the document has it sent overseas: without a plus sign
            return parse_phone_number("+" + normal.replace("+", "")).e164
        return parse_phone_number(written).e164
    except InvalidRequestError:
        return digits

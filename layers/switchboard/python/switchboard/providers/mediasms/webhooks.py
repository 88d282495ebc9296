"""Reads what MediaSMS pushes to us. Imports nothing that a webhook's cold start does not need."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from switchboard.domain.delivery import DeliveryReport
from switchboard.domain.errors import InvalidRequestError, WebhookUnreadableError
from switchboard.domain.phone_numbers import MAX_WRITTEN_LENGTH, parse_phone_number
from switchboard.providers.mediasms.codes import MAX_STATUS_LENGTH, SMSID, status_code_of

_WITH_COUNTRY_CODE: Final = re.compile(r"[1-9][0-9]{10,14}")


def parse_delivery_report(params: Mapping[str, str]) -> DeliveryReport:
    """The report in one notification (section SMS送達結果通知API), parameter names in any case.

    `smsid` and `status` are what it needs; `mobilenumber` is read where present. Every other parameter echoes the
    request and is not looked at, least of all `authcode`. Raises WebhookUnreadableError, which quotes no value.
    """
    smsid = _value(params, "smsid")
    if not SMSID.fullmatch(smsid):
        raise WebhookUnreadableError("a delivery report's smsid is missing or is not 1 to 50 letters and digits")
    status = _value(params, "status")
    if not status or len(status) > MAX_STATUS_LENGTH or not "".join(status.split()).isprintable():
        raise WebhookUnreadableError("a delivery report's status is missing, too long or unprintable")
    return DeliveryReport(
        smsid=smsid, status=status_code_of(status), recipient=_recipient(_value(params, "mobilenumber"))
    )


def _value(params: Mapping[str, str], name: str) -> str:
    """The parameter's value without surrounding white space; empty where it is absent."""
    values = {value.strip() for key, value in params.items() if key.strip().lower() == name}
    if len(values) > 1:
        raise WebhookUnreadableError(f"a delivery report gives {name} twice, and differently")
    return values.pop() if values else ""


def _recipient(written: str) -> str | None:
    """The number in E.164; its bare digits where it is in neither the national nor the country-code form."""
    digits = "".join(
        each for each in unicodedata.normalize("NFKC", written[:MAX_WRITTEN_LENGTH]) if each in "0123456789"
    )
    if not digits:
        return None
    try:
        if _WITH_COUNTRY_CODE.fullmatch(digits):  # as the document has it sent overseas: without a plus sign
            return parse_phone_number("+" + digits).e164
        return parse_phone_number(written).e164
    except InvalidRequestError:
        return digits

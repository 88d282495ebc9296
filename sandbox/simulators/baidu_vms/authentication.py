"""The checks that look at a request's address and headers only: the right interface, and the right to use it."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.errors import Error
from sandbox.simulators.baidu_vms.requests import RefusedError, WireRequest
from sandbox.simulators.baidu_vms.signatures import (
    canonical_request,
    date_text,
    read_authorization,
    read_date,
    signature,
)

_CALL: Final = re.compile(r"/v([^/]*)/call")


def check_interface(request: WireRequest) -> None:
    """Raise RefusedError for anything but POST /v1/call."""
    found = _CALL.fullmatch(request.path)
    if found is None:
        raise RefusedError(errors.INVALID_URI, "no such path")
    if found[1] != "1":
        raise RefusedError(errors.INVALID_VERSION, "no such version")
    if request.method != "POST":
        raise RefusedError(errors.NOT_IMPLEMENTED, "method is not POST")


def check_signature(request: WireRequest, *, access_key: str, secret_key: str, now: float) -> None:
    """Raise RefusedError unless the request is signed with these keys and not expired at `now` (Unix seconds).

    The document says nothing of a request without Authorization; other Baidu services answer AccessDenied.
    """
    headers = request.headers
    if "authorization" not in headers:
        raise RefusedError(errors.ACCESS_DENIED, "no Authorization")
    authorization = read_authorization(headers["authorization"])
    if authorization is None:
        raise RefusedError(errors.INVALID_AUTH_HEADER, "Authorization is not in the document's form")
    if not hmac.compare_digest(authorization.access_key, access_key):
        raise RefusedError(errors.INVALID_ACCESS_KEY, "another access key")
    expires = authorization.signed_at + timedelta(seconds=authorization.expiration_s)
    if expires < datetime.fromtimestamp(now, UTC):
        raise RefusedError(errors.REQUEST_EXPIRED, "its period is over")
    if "x-bce-date" in headers and "x-bce-date" not in authorization.headers:
        raise RefusedError(errors.SIGNATURE_MISMATCH, "x-bce-date is not signed")
    signed = {name: headers[name] for name in authorization.headers if name in headers}
    if len(signed) < len(authorization.headers):
        raise RefusedError(errors.SIGNATURE_MISMATCH, "a signed header is missing")
    if dated(headers) != authorization.timestamp:
        # A date without a signature around it would let anyone renew an old request.
        raise RefusedError(errors.SIGNATURE_MISMATCH, "the request's date is not the signature's")
    canonical = canonical_request(request.method, request.path, request.query, signed)
    expected = signature(secret_key, authorization.prefix, canonical)
    if not hmac.compare_digest(authorization.signature, expected):
        raise RefusedError(errors.SIGNATURE_MISMATCH, "another signature")


def check_conditions(request: WireRequest) -> None:
    """Raise RefusedError where a header about the body or its version does not hold."""
    promised = request.headers.get("x-bce-content-sha256")
    if promised is not None and promised != hashlib.sha256(request.body).hexdigest():
        raise RefusedError(errors.INVALID_REQUEST, "body has another SHA-256")
    if request.headers.get("x-bce-if-match", "*") != "*":
        raise RefusedError(errors.PRECONDITION_FAILED, "a call has no ETag")


def dated(headers: Mapping[str, str]) -> str:
    """Return the request's date: x-bce-date, else Date in the document's form, empty when there is neither."""
    if "x-bce-date" in headers:
        return headers["x-bce-date"]
    try:
        return date_text(parsedate_to_datetime(headers.get("date", "")))
    except ValueError:
        return ""


def message_of(error: Error, headers: Mapping[str, str]) -> str:
    """Return an error's message; that of an expired request names the request's date, as the document says."""
    if error is not errors.REQUEST_EXPIRED:
        return error.message
    date = dated(headers)
    return error.message.replace("XXX", date if read_date(date) else "unknown")

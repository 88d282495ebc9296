"""Checks a request's address and headers: the interface, the signature, and the headers about the body."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.errors import Error
from sandbox.simulators.baidu_vms.requests import HttpRequest, RefusedError
from sandbox.simulators.baidu_vms.signatures import (
    canonical_request,
    format_date,
    parse_authorization,
    parse_date,
    signature,
)

_CALL: Final = re.compile(r"/v([^/]*)/call")


def check_interface(request: HttpRequest) -> None:
    """Check that the request is POST /v1/call.

    Raises:
        RefusedError: when it is anything else.
    """
    path = _CALL.fullmatch(request.path)
    if path is None:
        raise RefusedError(errors.INVALID_URI, "no such path")
    if path[1] != "1":
        raise RefusedError(errors.INVALID_VERSION, "no such version")
    if request.method != "POST":
        raise RefusedError(errors.NOT_IMPLEMENTED, "method is not POST")


def check_signature(request: HttpRequest, *, access_key: str, secret_key: str, now: float) -> None:
    """Check that the request is signed with these keys and has not expired at `now` (Unix seconds).

    The document does not mention a request without Authorization; other Baidu services answer AccessDenied.

    Raises:
        RefusedError: when the signature is missing, wrong or expired.
    """
    headers = request.headers
    if "authorization" not in headers:
        raise RefusedError(errors.ACCESS_DENIED, "no Authorization")
    authorization = parse_authorization(headers["authorization"])
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
    if date_of_request(headers) != authorization.timestamp:
        # An attacker could renew an old request if its date were not covered by the signature.
        raise RefusedError(errors.SIGNATURE_MISMATCH, "the request's date is not the signature's")
    canonical = canonical_request(request.method, request.path, request.query, signed)
    expected = signature(secret_key, authorization.prefix, canonical)
    if not hmac.compare_digest(authorization.signature, expected):
        raise RefusedError(errors.SIGNATURE_MISMATCH, "another signature")


def check_conditions(request: HttpRequest) -> None:
    """Check the headers about the body and its version.

    Raises:
        RefusedError: when such a header does not hold.
    """
    announced_digest = request.headers.get("x-bce-content-sha256")
    if announced_digest is not None and announced_digest != hashlib.sha256(request.body).hexdigest():
        raise RefusedError(errors.INVALID_REQUEST, "body has another SHA-256")
    if request.headers.get("x-bce-if-match", "*") != "*":
        raise RefusedError(errors.PRECONDITION_FAILED, "a call has no ETag")


def date_of_request(headers: Mapping[str, str]) -> str:
    """Return x-bce-date, else Date in the document's form, or an empty text if there is neither."""
    if "x-bce-date" in headers:
        return headers["x-bce-date"]
    try:
        return format_date(parsedate_to_datetime(headers.get("date", "")))
    except ValueError:
        return ""


def error_message(error: Error, headers: Mapping[str, str]) -> str:
    """Return an error's message. The message for an expired request names its date, as the document says."""
    if error is not errors.REQUEST_EXPIRED:
        return error.message
    date = date_of_request(headers)
    return error.message.replace("XXX", date if parse_date(date) else "unknown")

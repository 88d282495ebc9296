"""The document's 认证机制 from the verifying side: read an Authorization header, compute what it should have said."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote_to_bytes

SIGNABLE: Final = frozenset({"host", "x-bce-date"})
"""The only headers that this API's signatures cover."""

_DATE: Final = "%Y-%m-%dT%H:%M:%SZ"
_FORM: Final = re.compile(
    r"bce-auth-v1/(?P<access_key>[A-Za-z0-9]+)/(?P<timestamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/(?P<expiration_s>\d{1,9})/"
    r"(?P<headers>[a-z0-9-]+(?:;[a-z0-9-]+)*)/(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """The parts of an Authorization header."""

    access_key: str
    timestamp: str
    signed_at: datetime
    expiration_s: int
    headers: tuple[str, ...]
    """Names of the headers the signature covers."""
    signature: str

    @property
    def prefix(self) -> str:
        """Return what the signing key is made from."""
        return f"bce-auth-v1/{self.access_key}/{self.timestamp}/{self.expiration_s}"


def read_authorization(value: str) -> Authorization | None:
    """Return the parts of an Authorization header, or None when it has not the document's form.

    The form is taken literally: version 1, a date of the calendar in UTC, a period without leading zeros, the signed
    headers in lower case, sorted and among those that this API signs, and 64 lower-case hexadecimal digits.
    """
    found = _FORM.fullmatch(value)
    if found is None:
        return None
    signed_at, headers = read_date(found["timestamp"]), tuple(found["headers"].split(";"))
    period = found["expiration_s"]
    if signed_at is None or str(int(period)) != period:
        return None
    if list(headers) != sorted(set(headers)) or not SIGNABLE.issuperset(headers) or "host" not in headers:
        return None
    return Authorization(
        access_key=found["access_key"],
        timestamp=found["timestamp"],
        signed_at=signed_at,
        expiration_s=int(period),
        headers=headers,
        signature=found["signature"],
    )


def read_date(text: str) -> datetime | None:
    """Return the moment that the document's form of a date (2014-06-01T23:00:10Z) names, None for any other text."""
    try:
        return datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def date_text(moment: datetime) -> str:
    """Return a moment as the document writes dates."""
    return moment.astimezone(UTC).strftime(_DATE)


def canonical_request(method: str, path: str, query: str, headers: Mapping[str, str]) -> str:
    """Return what is signed. `path` and `query` are as they stood in the request line, `headers` those signed."""
    pairs = (part.partition("=")[::2] for part in query.split("&") if part)
    arguments = sorted(
        f"{_canonical(unquote_to_bytes(name))}={_canonical(unquote_to_bytes(value))}"
        for name, value in pairs
        if name.lower() != "authorization"
    )
    lines = sorted(f"{_canonical(name.lower())}:{_canonical(value.strip())}" for name, value in headers.items())
    resource = quote(unquote_to_bytes(path), safe="/-._~")
    return "\n".join([method, resource, "&".join(arguments), "\n".join(lines)])


def signature(secret_key: str, prefix: str, canonical: str) -> str:
    """Return the hexadecimal signature of a canonical request. The key is the hexadecimal text of a first one."""
    return _hmac(_hmac(secret_key, prefix), canonical)


def _canonical(text: str | bytes) -> str:
    return quote(text, safe="-._~")


def _hmac(key: str, message: str) -> str:
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()

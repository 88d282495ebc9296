"""Verifies signatures (the document's 认证机制): parses an Authorization header and computes the right signature."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote_to_bytes

SIGNABLE: Final = frozenset({"host", "x-bce-date"})
"""The only headers that signatures of this API cover."""

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
    """The names of the headers that the signature covers."""
    signature: str

    @property
    def prefix(self) -> str:
        """The text from which the signing key is made."""
        return f"bce-auth-v1/{self.access_key}/{self.timestamp}/{self.expiration_s}"


def parse_authorization(value: str) -> Authorization | None:
    """Return the parts of an Authorization header, or None if it has not the document's form.

    The version is 1. The timestamp is a real date and time in UTC. The period has no leading zeros. The names of the
    signed headers are in lower case and sorted, and this API signs each of them. The signature has 64 hexadecimal
    digits in lower case.
    """
    parts = _FORM.fullmatch(value)
    if parts is None:
        return None
    signed_at, headers = parse_date(parts["timestamp"]), tuple(parts["headers"].split(";"))
    period = parts["expiration_s"]
    if signed_at is None or str(int(period)) != period:
        return None
    if list(headers) != sorted(set(headers)) or not SIGNABLE.issuperset(headers) or "host" not in headers:
        return None
    return Authorization(
        access_key=parts["access_key"],
        timestamp=parts["timestamp"],
        signed_at=signed_at,
        expiration_s=int(period),
        headers=headers,
        signature=parts["signature"],
    )


def parse_date(text: str) -> datetime | None:
    """Return the moment of a date in the document's form (2014-06-01T23:00:10Z), or None for any other text."""
    try:
        return datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def format_date(moment: datetime) -> str:
    """Return a moment as the document writes dates."""
    return moment.astimezone(UTC).strftime(_DATE)


def canonical_request(method: str, path: str, query: str, headers: Mapping[str, str]) -> str:
    """Return the text that is signed.

    `path` and `query` are as they stand in the request line; `headers` are the signed ones.
    """
    pairs = (part.partition("=")[::2] for part in query.split("&") if part)
    arguments = sorted(
        f"{_quote(unquote_to_bytes(name))}={_quote(unquote_to_bytes(value))}"
        for name, value in pairs
        if name.lower() != "authorization"
    )
    lines = sorted(f"{_quote(name.lower())}:{_quote(value.strip())}" for name, value in headers.items())
    resource = quote(unquote_to_bytes(path), safe="/-._~")
    return "\n".join([method, resource, "&".join(arguments), "\n".join(lines)])


def signature(secret_key: str, prefix: str, canonical: str) -> str:
    """Return the hexadecimal signature of a canonical request. Its key is the hexadecimal signature of `prefix`."""
    return _sign(_sign(secret_key, prefix), canonical)


def _quote(text: str | bytes) -> str:
    return quote(text, safe="-._~")


def _sign(key: str, message: str) -> str:
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()

"""Sign requests with `bce-auth-v1`. A signature depends only on the request, the credentials and the time."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from switchboard.domain.errors import ConfigurationError

DATE_HEADER: Final = "x-bce-date"
SESSION_HEADER: Final = "x-bce-security-token"

_VERSION: Final = "bce-auth-v1"
_SPACE: Final = " \t\r\n\v\f"
_KEY_ID: Final = re.compile(r"[\x21-\x2e\x30-\x7e]+")  # no slash: slashes separate the parts of the header
_SECRET: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An access key, and the session token of a temporary one.

    Raises:
        ConfigurationError: a header cannot carry them.
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        secrets = (self.secret_access_key, *([] if self.session_token is None else [self.session_token]))
        if not _KEY_ID.fullmatch(self.access_key_id) or not all(map(_SECRET.fullmatch, secrets)):
            raise ConfigurationError("Baidu's access key is empty, unprintable, or its id holds a slash")


def build_signed_headers(
    *,
    credentials: Credentials,
    method: str,
    host: str,
    path: str,
    parameters: Mapping[str, str],
    at: datetime,
    lifetime_s: int,
) -> dict[str, str]:
    """Build the headers that sign this request, apart from `Host` (section 认证机制).

    Exactly `host`, `x-bce-date` and the session token, if there is one, are signed. The provider also takes every other
    `x-bce-*` header of a request into account, so that there must be none. `host` is the value of the `Host` header,
    with its port unless that is the scheme's default. `path` is not encoded yet.
    """
    bce_headers = {DATE_HEADER: format_time(at)}
    if credentials.session_token is not None:
        bce_headers[SESSION_HEADER] = credentials.session_token
    authorization = sign(
        credentials=credentials,
        method=method,
        path=path,
        parameters=parameters,
        headers={"host": host, **bce_headers},
        at=at,
        lifetime_s=lifetime_s,
    )
    return {"Authorization": authorization, **bce_headers}


def sign(
    *,
    credentials: Credentials,
    method: str,
    path: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    at: datetime,
    lifetime_s: int,
) -> str:
    """Sign a request at `at` (aware): return the value of its Authorization header, valid for `lifetime_s` seconds.

    `headers` are the headers to sign, at least one with a value: an empty list would mean the provider's own default
    set. The body is not signed.

    Raises:
        ValueError: no header has a value, or UTF-8 cannot encode a text (a lone surrogate).
    """
    trimmed = {name.strip(_SPACE).lower(): value.strip(_SPACE) for name, value in headers.items()}
    nonempty = {name: value for name, value in trimmed.items() if value}
    if not nonempty:
        raise ValueError("a signature needs at least one header")
    prefix = f"{_VERSION}/{credentials.access_key_id}/{format_time(at)}/{lifetime_s}"
    request = "\n".join([method, encode(path, keep="/"), build_query(parameters), _canonicalise_headers(nonempty)])
    # The signing key is the hexadecimal text of the digest, not the digest itself.
    signing_key = _hmac(credentials.secret_access_key, prefix)
    return f"{prefix}/{';'.join(sorted(nonempty))}/{_hmac(signing_key, request)}"


def encode(text: str, *, keep: str = "") -> str:
    """Percent-encode all but RFC 3986's unreserved characters and `keep` (section 规范化字符串)."""
    return quote(text, safe=keep, errors="strict")


def build_query(parameters: Mapping[str, str]) -> str:
    """Build the query that is signed and sent: a space is `%20`, and a name without a value keeps its `=`.

    A parameter called `authorization` is the other place for a signature, and so is not signed itself.
    """
    return "&".join(
        sorted(
            f"{encode(name)}={encode(value)}" for name, value in parameters.items() if name.lower() != "authorization"
        )
    )


def format_time(at: datetime) -> str:
    """Format a time as `2026-11-22T03:04:05Z`, like the example of section 公共请求头 and the SDKs.

    The text of that section describes a bare date.
    """
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _canonicalise_headers(headers: Mapping[str, str]) -> str:
    """Sort the finished lines and not the names: a name can be the beginning of another."""
    return "\n".join(sorted(f"{encode(name)}:{encode(value)}" for name, value in headers.items()))


def _hmac(key: str, message: str) -> str:
    return hmac.new(key.encode("ascii"), message.encode("utf-8"), hashlib.sha256).hexdigest()

"""Signs requests with `bce-auth-v1`: a function of the request, the credentials and the time it is given."""

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
    """An access key, and the session token where it is a temporary one. Raises ConfigurationError where a header
    could not carry them."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        secrets = (self.secret_access_key, *([] if self.session_token is None else [self.session_token]))
        if not _KEY_ID.fullmatch(self.access_key_id) or not all(map(_SECRET.fullmatch, secrets)):
            raise ConfigurationError("Baidu's access key is empty, unprintable, or its id holds a slash")


def signed_headers(
    *,
    credentials: Credentials,
    method: str,
    host: str,
    path: str,
    parameters: Mapping[str, str],
    at: datetime,
    lifetime_s: int,
) -> dict[str, str]:
    """The headers that make this a signed request, apart from `Host` (section 认证机制).

    Exactly `host` and `x-bce-date` are signed, and the session token where there is one. The provider also takes
    every other `x-bce-*` header of a request into account: so there may be none. `host` is the `Host` header's
    value, with its port where that is not the scheme's own. `path` is not encoded yet.
    """
    ours = {DATE_HEADER: canonical_time(at)}
    if credentials.session_token is not None:
        ours[SESSION_HEADER] = credentials.session_token
    signature = authorization(
        credentials=credentials,
        method=method,
        path=path,
        parameters=parameters,
        headers={"host": host, **ours},
        at=at,
        lifetime_s=lifetime_s,
    )
    return {"Authorization": signature, **ours}


def authorization(
    *,
    credentials: Credentials,
    method: str,
    path: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    at: datetime,
    lifetime_s: int,
) -> str:
    """The value of the Authorization header for a request at `at` (aware), valid for `lifetime_s` seconds from then.

    `headers` are those to be signed, at least one with a value: an empty list would mean the provider's own default
    set. The body is no part of it. Raises ValueError for text that UTF-8 has no form for (a lone surrogate).
    """
    signed = {name.strip(_SPACE).lower(): value.strip(_SPACE) for name, value in headers.items()}
    signed = {name: value for name, value in signed.items() if value}
    if not signed:
        raise ValueError("a signature needs at least one header to sign")
    prefix = f"{_VERSION}/{credentials.access_key_id}/{canonical_time(at)}/{lifetime_s}"
    request = "\n".join([method, canonical(path, keep="/"), canonical_query(parameters), _canonical_headers(signed)])
    # The next key is the hexadecimal text of the digest, not the digest.
    signing_key = _hmac(credentials.secret_access_key, prefix)
    return f"{prefix}/{';'.join(sorted(signed))}/{_hmac(signing_key, request)}"


def canonical(text: str, *, keep: str = "") -> str:
    """Percent-encoded but for RFC 3986's unreserved characters and `keep` (section 规范化字符串)."""
    return quote(text, safe=keep, errors="strict")


def canonical_query(parameters: Mapping[str, str]) -> str:
    """The query as it is signed, and as it has to be sent: a space is `%20`, and a name without a value keeps its `=`.

    A parameter called `authorization` is the other place for a signature, and so no part of what is signed.
    """
    return "&".join(
        sorted(
            f"{canonical(name)}={canonical(value)}"
            for name, value in parameters.items()
            if name.lower() != "authorization"
        )
    )


def canonical_time(at: datetime) -> str:
    """`2026-11-22T03:04:05Z`. Section 公共请求头 describes a bare date, its example and the SDKs the whole instant."""
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _canonical_headers(headers: Mapping[str, str]) -> str:
    """The finished lines are sorted, not the names: a name can be the beginning of another."""
    return "\n".join(sorted(f"{canonical(name)}:{canonical(value)}" for name, value in headers.items()))


def _hmac(key: str, message: str) -> str:
    return hmac.new(key.encode("ascii"), message.encode("utf-8"), hashlib.sha256).hexdigest()

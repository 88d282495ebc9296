"""API Gateway's REST events (payload v1.0) as requests, and our replies as what it expects back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from switchboard.domain.errors import PayloadTooLargeError, SwitchboardError


class MalformedRequestError(SwitchboardError):
    """The body is not what its route reads at all."""


class ClientUnknownError(SwitchboardError):
    """A client's route was reached without an API key."""


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """One HTTP request. Header names are lower-case; a parameter given twice has two values. Of a header given twice
    the last counts; those in `ambiguous` came with different values."""

    method: str
    route: str
    path_params: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    api_key_id: str | None = None
    ambiguous: frozenset[str] = frozenset()

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> InboundRequest:
        """Reads any event of that shape, however empty; never raises for what a sender put into it."""
        headers = {name.lower(): value for name, value in _texts(event.get("headers")).items()}
        identity = (event.get("requestContext") or {}).get("identity") or {}
        return cls(
            method=event.get("httpMethod") or "",
            route=event.get("resource") or "",
            path_params=_texts(event.get("pathParameters")),
            query={
                name: tuple(values or ())
                for name, values in (event.get("multiValueQueryStringParameters") or {}).items()
            },
            headers=headers,
            body=_body_bytes(event),
            api_key_id=identity.get("apiKeyId") or _hashed_key(headers.get("x-api-key")),
            ambiguous=_ambiguous(event.get("multiValueHeaders")),
        )

    @property
    def client(self) -> str:
        """Whom the API key stands for. Raises ClientUnknownError where API Gateway let none through."""
        if not self.api_key_id:
            raise ClientUnknownError("no API key")
        return self.api_key_id

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    def json_object(self, *, limit_bytes: int) -> dict[str, Any]:
        """The body as a JSON object. Raises PayloadTooLargeError, MalformedRequestError."""
        if len(self.body) > limit_bytes:
            raise PayloadTooLargeError(f"the body is larger than {limit_bytes} bytes")
        try:
            text = self.body.decode("utf-8")
            parsed = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
            # A lone surrogate can be written in JSON and cannot be stored or sent: it has no UTF-8.
            json.dumps(parsed, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise MalformedRequestError("the body is not well-formed JSON in UTF-8, each name given once") from None
        if not isinstance(parsed, dict):
            raise MalformedRequestError("the body is not a JSON object")
        return parsed


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back. A mapping is sent as JSON, a text as text/plain; `headers` win over that."""

    status: HTTPStatus
    body: Mapping[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_event(self) -> dict[str, Any]:
        if isinstance(self.body, str):
            content_type, text = "text/plain; charset=utf-8", self.body
        else:
            content_type, text = "application/json", json.dumps(self.body, ensure_ascii=False)
        return {
            "statusCode": int(self.status),
            "headers": {"Content-Type": content_type, "Cache-Control": "no-store", **self.headers},
            # A name may be told again that no UTF-8 has: half of a surrogate pair, from JSON.
            "body": text.encode("utf-8", "replace").decode(),
            "isBase64Encoded": False,
        }


def _texts(members: Mapping[str, str | None] | None) -> dict[str, str]:
    """What is there of a mapping that may be null, and whose values may be."""
    return {name: value for name, value in (members or {}).items() if value is not None}


def _ambiguous(headers: Mapping[str, Sequence[str] | None] | None) -> frozenset[str]:
    """The headers with different values, whichever way each of them spells the name."""
    values: dict[str, set[str]] = {}
    for name, given in (headers or {}).items():
        values.setdefault(name.lower(), set()).update(given or ())
    return frozenset(name for name, given in values.items() if len(given) > 1)


def _body_bytes(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            return b""
    return str(body).encode("utf-8", "surrogatepass")


def _hashed_key(key: str | None) -> str | None:
    """Some gateways do not pass the key's id on; the key itself is a secret and is not kept."""
    return f"key-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}" if key else None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

"""Reads API Gateway's REST events (payload v1.0) as requests, and writes replies in the form that it expects."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from switchboard.domain.errors import FieldProblem, InvalidRequestError, PayloadTooLargeError, SwitchboardError

if TYPE_CHECKING:
    from pydantic import BaseModel

    # Only for types: webhooks have no API key and need not load it.
    from switchboard.domain.api_keys import ApiKey

BODY_LIMIT_BYTES: Final = 65_536
"""The size of an ordinary request. One holds one text; 100 of the longest texts would fit."""

_LINE_BREAKS: Final = re.compile(r"\s*[\r\n\t]\s*|\A +| +\Z")
_STANDARD_ALPHABET: Final = str.maketrans("-_", "+/")


M = TypeVar("M", bound="BaseModel")


class MalformedRequestError(SwitchboardError):
    """The body, or a queue entry, is not in a form that its reader knows."""


class NotAcceptableError(SwitchboardError):
    """A request whose `Accept` header names no form in which the resource exists."""


class ClientUnknownError(SwitchboardError):
    """A request reached a client's route without an API key."""


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """One HTTP request. Header names are in lower case. A parameter that is given twice has two values.

    The last value of a header counts. `ambiguous` names the headers with several different values. `api_key_id` is the
    id of the API key, and `api_key` is that key on the routes of clients. `source_ip` is the address that API Gateway
    saw, never one that a header names.
    """

    method: str
    route: str
    path_params: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    api_key_id: str | None = None
    source_ip: str | None = None
    ambiguous: frozenset[str] = frozenset()
    api_key: ApiKey | None = None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> InboundRequest:
        """Read any event of that form, however empty. Nothing that a sender puts into it raises an error."""
        headers = {name.lower(): value for name, value in _drop_nulls(event.get("headers")).items()}
        identity = (event.get("requestContext") or {}).get("identity") or {}
        return cls(
            method=event.get("httpMethod") or "",
            route=event.get("resource") or "",
            path_params=_drop_nulls(event.get("pathParameters")),
            query={
                name: tuple(values or ())
                for name, values in (event.get("multiValueQueryStringParameters") or {}).items()
            },
            headers=headers,
            body=_decode_body(event),
            api_key_id=identity.get("apiKeyId") or derive_key_id(headers.get("x-api-key")),
            source_ip=_text_or_none(identity.get("sourceIp")),
            ambiguous=_find_ambiguous(event.get("multiValueHeaders")),
        )

    @property
    def client(self) -> str:
        """The client that the API key belongs to.

        Raises:
            ClientUnknownError: the request has no API key.
        """
        return self.require_key().client

    @property
    def content_type(self) -> str:
        """The `Content-Type` header, empty if there is none."""
        return self.headers.get("content-type", "")

    def require_key_id(self) -> str:
        """Return the id of the API key.

        Raises:
            ClientUnknownError: the request has no API key.
        """
        if not self.api_key_id:
            raise ClientUnknownError("Send a valid key in x-api-key")
        return self.api_key_id

    def require_key(self) -> ApiKey:
        """Return the API key, on the route of a client.

        Raises:
            ClientUnknownError: the request has no API key.
        """
        if self.api_key is None:
            raise ClientUnknownError("Send a valid key in x-api-key")
        return self.api_key

    def json_object(self, *, limit_bytes: int) -> dict[str, Any]:
        """Read the body as a JSON object.

        Raises:
            PayloadTooLargeError: the body is larger than `limit_bytes`.
            MalformedRequestError: the body is no JSON object in UTF-8, or gives a name twice.
        """
        if len(self.body) > limit_bytes:
            raise PayloadTooLargeError(f"The body is larger than {limit_bytes} bytes")
        try:
            text = self.body.decode().lstrip("\ufeff")
            parsed = json.loads(text, object_pairs_hook=_reject_duplicates, parse_constant=_reject_constant)
            # JSON can spell a lone surrogate, which can be neither stored nor sent: it has no UTF-8.
            json.dumps(parsed, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise MalformedRequestError("The body is not well-formed JSON in UTF-8 with each name given once") from None
        if not isinstance(parsed, dict):
            raise MalformedRequestError("The body is not a JSON object")
        return parsed


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a request. A mapping becomes JSON and a text becomes text/plain, unless `headers` say otherwise."""

    status: HTTPStatus
    body: Mapping[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_event(self) -> dict[str, Any]:
        """Write the reply in the form that API Gateway expects."""
        if isinstance(self.body, str):
            content_type, text = "text/plain; charset=utf-8", self.body
        else:
            content_type, text = "application/json", json.dumps(self.body, ensure_ascii=False)
        return {
            "statusCode": int(self.status),
            "headers": {"Content-Type": content_type, "Cache-Control": "no-store", **self.headers},
            # A problem may repeat a name from JSON that has no UTF-8: half of a surrogate pair.
            "body": text.encode("utf-8", "replace").decode(),
            "isBase64Encoded": False,
        }


def parse_idempotency_key(request: InboundRequest) -> str | None:
    """Read 1 to 64 visible ASCII characters. Return None if there is no such header.

    Raises:
        InvalidRequestError: the key is something else, or is given twice and differently.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if "idempotency-key" in request.ambiguous:
        raise InvalidRequestError(FieldProblem("Idempotency-Key", "may be given once", "duplicate_header"))
    if not 1 <= len(key) <= 64 or any(not "!" <= character <= "~" for character in key):
        raise InvalidRequestError(FieldProblem("Idempotency-Key", "must be 1 to 64 visible ASCII characters"))
    return key


def negotiate(request: InboundRequest, *forms: str) -> str:
    """Return the media type of `forms` that the `Accept` header prefers, or the first of them if there is none.

    Raises:
        NotAcceptableError: the header accepts none of them.
    """
    accept = request.headers.get("accept", "").strip() or "*/*"
    ranges = [_parse_range(entry) for entry in accept.lower().split(",") if entry.strip()]

    def quality(form: str) -> float:
        # The most specific range that matches decides (RFC 9110, section 12.5.1).
        for pattern in (form, f"{form.partition('/')[0]}/*", "*/*"):
            for name, value in ranges:
                if name == pattern:
                    return value
        return 0.0

    best = max(forms, key=quality)
    if not quality(best):
        raise NotAcceptableError(f"Accept one of {', '.join(forms)}")
    return best


def _parse_range(entry: str) -> tuple[str, float]:
    """Read one media range with its weight. An unreadable weight counts as 1."""
    name, *parameters = (part.strip() for part in entry.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter.removeprefix("q="))
            except ValueError:
                break
    return name, 1.0


def validate(model: type[M], content: dict[str, Any]) -> M:
    """Read a JSON object by a model.

    Raises:
        InvalidRequestError: with a problem for each field that is wrong; none repeats a value.
    """
    # Only the readers of bodies load pydantic, which takes a third of a cold start.
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = {
            str(detail["loc"][0]): FieldProblem(
                field=str(detail["loc"][0])[:50], message=detail["msg"], code=detail["type"]
            )
            for detail in error.errors(include_input=False, include_context=False, include_url=False)
        }
        raise InvalidRequestError(*problems.values()) from None


def parse_body_as(model: type[M], request: InboundRequest, *, limit_bytes: int = BODY_LIMIT_BYTES) -> M:
    """Read the request's JSON body by a model.

    Raises:
        MalformedRequestError: the body is no JSON object.
        PayloadTooLargeError: the body is larger than `limit_bytes`.
        InvalidRequestError: with a problem for each field that is wrong; none repeats a value.
    """
    return validate(model, request.json_object(limit_bytes=limit_bytes))


def _drop_nulls(members: Mapping[str, str | None] | None) -> dict[str, str]:
    """Drop the null values of a mapping that may be null itself."""
    return {name: value for name, value in (members or {}).items() if value is not None}


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _find_ambiguous(headers: Mapping[str, Sequence[str] | None] | None) -> frozenset[str]:
    """Find the headers with different values, however each of them spells the name."""
    values_by_name: dict[str, set[str]] = {}
    for name, values in (headers or {}).items():
        values_by_name.setdefault(name.lower(), set()).update(values or ())
    return frozenset(name for name, values in values_by_name.items() if len(values) > 1)


def _decode_body(event: Mapping[str, Any]) -> bytes:
    """Decode a body that is marked as base64, also with line breaks, without padding and in the alphabet for URLs.

    A text that is no base64 at all is kept as it is.
    """
    body = str(event.get("body") or "")
    if event.get("isBase64Encoded"):
        digits = _LINE_BREAKS.sub("", body).translate(_STANDARD_ALPHABET)
        unpadded = digits.rstrip("=")
        try:
            if unpadded or not digits:
                return base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    return body.encode("utf-8", "surrogatepass")


def derive_key_id(key: str | None) -> str | None:
    """Derive an id for gateways that do not pass the key's id on. The key itself is a secret and is not kept."""
    return f"key-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}" if key else None


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is given twice")
    return members


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

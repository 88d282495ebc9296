"""Holds a request as it arrived, and reads its JSON body by the document's table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.errors import Error


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request to the API as it arrived."""

    method: str
    path: str
    query: str
    """The query as it stands in the request line, without the question mark."""
    headers: Mapping[str, str]
    """The headers by lower-case name."""
    body: bytes


class RefusedError(Exception):
    """A refusal with one row of the tables. `cause` gives the reason in words, without repeating the request."""

    def __init__(self, error: Error, cause: str) -> None:
        super().__init__(cause)
        self.error = error
        self.cause = cause


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """The body of POST /v1/call."""

    number: str
    kind: int
    template_id: str
    variables: str
    play_times: int
    volume: int
    tag: str
    show_number: str | None


_TYPES: Final[Mapping[str, type]] = {
    "calledNumber": str,
    "type": int,
    "voiceMessageTemplateId": str,
    "voiceMessageVar": str,
    "playTimes": int,
    "voiceVolume": int,
    "userDefinedTag": str,
    "calledShowNumber": str,  # in the document's second example only
}
_REQUIRED: Final = ("calledNumber", "type", "voiceMessageTemplateId", "voiceMessageVar")


def read_call(request: HttpRequest) -> CallRequest:
    """Return the body of a request. Unknown members are ignored, as the document says.

    Raises:
        RefusedError: when the body is no such object.
    """
    media_type, _, rest = request.headers.get("content-type", "").partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in {"", "utf-8"}:
        raise RefusedError(errors.INVALID_REQUEST, "content type is not JSON in UTF-8")
    try:
        text = request.body.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise RefusedError(errors.INVALID_REQUEST, "body is not UTF-8") from problem
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise RefusedError(errors.MALFORMED_JSON, "body is not JSON") from problem
    return _build_call(body)


def find_number(body: bytes) -> str:
    """Return the called number of a body, even if the body is wrong otherwise; empty if there is none."""
    try:
        number = json.loads(body)["calledNumber"]
    except (ValueError, RecursionError, TypeError, LookupError):
        return ""
    return number if isinstance(number, str) else ""


def _build_call(body: Any) -> CallRequest:
    if not isinstance(body, dict):
        raise RefusedError(errors.INAPPROPRIATE_JSON, "body is not an object")
    for name in _REQUIRED:
        if name not in body:
            raise RefusedError(errors.INAPPROPRIATE_JSON, f"{name} is missing")
    for name, kind in _TYPES.items():
        # True is a number in Python and none in JSON.
        if name in body and type(body[name]) is not kind:
            raise RefusedError(errors.INAPPROPRIATE_JSON, f"{name} is of another type")
    return CallRequest(
        number=body["calledNumber"],
        kind=body["type"],
        template_id=body["voiceMessageTemplateId"],
        variables=body["voiceMessageVar"],
        play_times=body.get("playTimes", 1),
        volume=body.get("voiceVolume", 10),
        tag=body.get("userDefinedTag", ""),
        show_number=body.get("calledShowNumber"),
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

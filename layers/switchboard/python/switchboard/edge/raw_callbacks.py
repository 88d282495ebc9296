"""Prepares an authentic callback for the archive: without the webhook's token and without an authcode."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from switchboard.edge.callback_params import find_boundary, find_separator, is_json, unpack, unpack_gzip
from switchboard.edge.http import InboundRequest
from switchboard.ports.callbacks import RawCallback

_MASK: Final = "***"
_WITHHELD: Final = b"(withheld: it names an authcode)"
_AUTHCODE: Final = re.compile(rb"(?i)authcode")
# The repeats are bounded, so that a body of nothing but mentions takes no longer than any other.
_JSON_NAME: Final = re.compile(rb'(?i)authcode[^"\\]{0,20}"\s{0,20}:')
_JSON_MEMBER: Final = re.compile(
    rb'(?i)(authcode[^"\\]{0,20}"\s{0,20}:\s{0,20})(?:"[^"\\]*"|[-+.0-9e]+|null)(?=\s{0,20}[,}])'
)
# A name in pieces (RFC 2231, section 3). The reader joins them, so they may be an authcode's.
_SPLIT_NAME: Final = re.compile(rb"(?i)name\*[0-9]{1,3}\*?\s{0,5}=")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{12,}")
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
# Each letter as itself, escaped once or more in a form, or escaped in JSON; with the zero bytes of UTF-16.
_ANY_SPELLING: Final = re.compile(
    rb"(?i)"
    + rb"\0*".join(rb"(?:%c|(?:%%(?:25)*|\\u00)(?:%02x|%02x))" % (code, code, code - 32) for code in b"authcode")
)


def to_raw_callback(request: InboundRequest, *, route: str) -> RawCallback:
    """Copy the callback without its path, which holds the token, and without the value of an authcode."""
    request = unpack(request)
    return RawCallback(
        route=route,
        method=request.method,
        query=json.dumps(_redact_query(request.query), ensure_ascii=True),
        content_type=request.content_type,
        body=_redact_body(request.body, request.content_type),
    )


def _redact_query(query: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Replace the values of an authcode, or all values if one of them speaks of an authcode."""
    mask_all = any(_names_authcode(value) for values in query.values() for value in values)
    redacted: dict[str, list[str]] = {}
    for name, values in query.items():
        is_authcode = _names_authcode(name)
        kept_name = re.sub(r"(?is)(authcode).*", r"\1", name) if is_authcode else name
        kept_values = [_MASK] * len(values) if is_authcode or mask_all else list(values)
        redacted.setdefault(kept_name, []).extend(kept_values)
    return redacted


def _names_authcode(text: str) -> bool:
    return bool(_AUTHCODE.search(unquote_to_bytes(text.encode("utf-8", "surrogatepass"))))


def _redact_body(body: bytes, content_type: str) -> bytes:
    """Replace the value of each parameter whose name is an authcode.

    A body that names an authcode with escapes, or elsewhere than in a parameter's name, is withheld as a whole. So is a
    body with a name in pieces.
    """
    mentions = _count(body)
    if _SPLIT_NAME.search(body) or len(_ANY_SPELLING.findall(body)) > mentions or any(map(_count, _decode(body))):
        return _WITHHELD
    if not mentions:
        return body
    if is_json(body):
        return _redact_json(body, mentions)
    boundary = find_boundary(body, content_type)
    if boundary is None:
        return _redact_pairs(body, separator=find_separator(body), end_of_name=b"=")
    # An empty line ends the header of a part, which holds the name.
    return _redact_pairs(body, separator=b"--" + boundary, end_of_name=b"\r\n\r\n" if b"\r\n" in body else b"\n\n")


def _decode(body: bytes) -> Iterator[bytes]:
    """Yield what a broken gzip body begins with, and what stands in the body as base64, wherever its groups begin."""
    yield unpack_gzip(body, allow_broken=True) or b""
    for digits in _BASE64.findall(body.translate(_STANDARD_ALPHABET, b" \t\r\n")):
        for start in range(4):
            end = len(digits) - (len(digits) - start) % 4
            yield base64.b64decode(digits[start:end])


def _count(body: bytes) -> int:
    return len(_AUTHCODE.findall(body))


def _redact_json(body: bytes, mentions: int) -> bytes:
    if len(_JSON_NAME.findall(body)) < mentions:
        return _WITHHELD
    redacted, count = _JSON_MEMBER.subn(rb'\1"***"', body)
    # A value that is no text or number, or that is cut off, has no certain end.
    return redacted if count == mentions else re.sub(rb"(?is)(authcode).*", rb"\1***", body)


def _redact_pairs(body: bytes, *, separator: bytes, end_of_name: bytes) -> bytes:
    """Replace each pair that has an authcode, from its name to its end."""
    kept, position = [], 0
    while mention := _AUTHCODE.search(body, position):
        start = max(body.rfind(separator, position, mention.start()), position)
        if end_of_name in body[start : mention.start()]:
            return _WITHHELD
        kept += [body[position : mention.end()], _MASK.encode()]
        end = body.find(separator, mention.end())
        position = end if end >= 0 else len(body)
    return b"".join([*kept, body[position:]])

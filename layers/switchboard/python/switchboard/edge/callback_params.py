"""Reads the parameters of a callback from its query and its body: a form, a multipart form or JSON.

The body itself shows its form, because senders label it wrongly. Each pair is decoded by itself, so that an
unreadable pair spoils no other one.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.errors import CloseBoundaryNotFoundDefect
from email.message import Message
from email.utils import collapse_rfc2231_value, quote
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast
from urllib.parse import unquote_to_bytes

from switchboard.domain.errors import WebhookUnreadableError
from switchboard.edge.http import InboundRequest

BODY_LIMIT_BYTES: Final = 65_536
"""The maximum length of a body: far more than a provider ever sends, and little enough to read at once."""

_Pair: TypeAlias = tuple[str, str | None]

# A decoder or a gateway puts this character for bytes that it cannot read.
_REPLACEMENT_CHARACTER: Final = "\ufffd"
# What senders put before a name by mistake: blanks, a byte order mark, a query's `?`, the rest of an HTML `&amp;`.
_NAME_PREFIX: Final = re.compile(r"\A(?:[\s?\ufeff]|amp;)+")
# PHP marks a list so.
_LIST_MARK: Final = re.compile(r"\[[0-9]*\]\Z")

_GZIP: Final = b"\x1f\x8b"
# Each of several files that a script joins may bring a mark of its own.
_UTF8_MARKS: Final = re.compile(rb"(?:\s*%b)+" % codecs.BOM_UTF8)
_WIDE_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE: Final = frozenset({"utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"})
# Charsets that a provider of Japan or China may declare, beside those that are always tried.
_DECLARED: Final = frozenset({"euc-jp", "gbk", "gb2312", "gb18030"})
# It begins each Japanese text in ISO-2022-JP, which is ASCII by its bytes.
_ESCAPE: Final = b"\x1b$"
_FIRST_PART: Final = re.compile(rb"\s*--([^\r\n]{1,200}?)[ \t]{0,20}\r?\n(?i:content-)")
_JSON_START: Final = re.compile(rb'(?:\s|\xef\xbb\xbf)*(?:\[\s*)?\{\s*["}]')
_BLANKS: Final = b" \t\r\n\0"
# Python decodes the bytes 80, A0 and FD to FF so, which no Shift_JIS has.
_NOT_SHIFT_JIS: Final = re.compile("[\x80\xa0\uf8f0-\uf8f3]")


class _JsonObject(list[tuple[str, Any]]):
    """The members of a JSON object in their order. A name may occur several times."""


@dataclass(frozen=True, slots=True)
class ParsedParams:
    """CallbackParams over every value of each name, in the order in which they came. Names are read in any case.

    None stands for a value that is no text, such as a JSON object.
    """

    values: Mapping[str, tuple[str | None, ...]]

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str | None]]) -> ParsedParams:
        """Build the parameters from names and values as they stand in the callback."""
        values: dict[str, list[str | None]] = {}
        for name, value in pairs:
            values.setdefault(_normalise_name(name), []).append(value)
        return cls({name: tuple(texts) for name, texts in values.items()})

    def find_only(self, name: str, *, read: Callable[[str], str] = str) -> str:
        """Return the value of a name that decides, as `CallbackParams.find_only` says."""
        if self._is_unreadable(name):
            raise WebhookUnreadableError(f"{_normalise_name(name)}_unreadable")
        values = {read(text) for text in self._find_all(name)} - {""}
        if len(values) > 1:
            raise WebhookUnreadableError(f"{_normalise_name(name)}_ambiguous")
        return values.pop() if values else ""

    def find_first(self, name: str) -> str:
        """Return the first readable value of a name that decides nothing, or an empty text if it has none."""
        texts = self._find_all(name)
        return next((text for text in texts if _REPLACEMENT_CHARACTER not in text), texts[0] if texts else "")

    def _find_all(self, name: str) -> list[str]:
        stripped = (value.strip().strip("\ufeff").strip() for value in self._values_of(name) if value is not None)
        return list(dict.fromkeys(text for text in stripped if text))

    def _is_unreadable(self, name: str) -> bool:
        return any(value is None or _REPLACEMENT_CHARACTER in value for value in self._values_of(name))

    def _values_of(self, name: str) -> tuple[str | None, ...]:
        return self.values.get(_normalise_name(name), ())


def unpack(request: InboundRequest) -> InboundRequest:
    """Return the request with a gzip body unpacked. A body that is broken or unpacks to too much stays packed."""
    body = unpack_gzip(request.body)
    return request if body is None else replace(request, body=body)


def unpack_gzip(body: bytes, *, allow_broken: bool = False) -> bytes | None:
    """Return the content of a gzip body if it has at most BODY_LIMIT_BYTES, or None for any other body.

    `allow_broken` returns as much as can be unpacked of a body that is cut off or too large.
    """
    if not body.startswith(_GZIP):
        return None
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, BODY_LIMIT_BYTES)
    except zlib.error:
        return None
    return unpacked if unpacker.eof or allow_broken else None


def read_params(request: InboundRequest) -> ParsedParams:
    """Read the query first and then the body.

    A body in no known form adds nothing to a query. The parser then misses a name that decides, if the query lacks it.

    Raises:
        WebhookUnreadableError: the query is empty, and the body is too large or in no known form. The message is a code
            in snake_case.
    """
    request = unpack(request)
    pairs: list[_Pair] = [(name, value) for name, values in request.query.items() for value in values]
    try:
        pairs += _read_body(request.body, request.content_type)
    except WebhookUnreadableError:
        if not pairs:
            raise
    return ParsedParams.from_pairs(pairs)


def find_boundary(body: bytes, content_type: str) -> bytes | None:
    """Return the boundary of a multipart body, as the header names it or else as the body begins with it."""
    boundary, _ = _parse_content_type(content_type)
    if boundary and b"--" + boundary in body:
        return boundary
    first_part = _FIRST_PART.match(body)
    return first_part[1] if first_part else None


def is_json(body: bytes) -> bool:
    """Return whether the body begins like a JSON object, or like a list of them."""
    return bool(_JSON_START.match(body))


def find_separator(body: bytes) -> bytes:
    """Return the text between the pairs of a form: `&`, or `;` or a line end if every pair has a `=` then."""
    if b"&" not in body:
        for separator in (b";", b"\n"):
            pairs = [pair for pair in body[:BODY_LIMIT_BYTES].split(separator) if pair.strip()]
            if len(pairs) > 1 and all(b"=" in pair for pair in pairs):
                return separator
    return b"&"


def _read_body(body: bytes, content_type: str) -> list[_Pair]:
    if len(body) > BODY_LIMIT_BYTES:
        raise WebhookUnreadableError("too_large")
    _, charset = _parse_content_type(content_type)
    body = _to_ascii_based(body, charset)
    boundary = find_boundary(body, content_type)
    if boundary is not None:
        return list(_read_multipart(body, boundary, charset))
    if is_json(body):
        return list(_read_json(body.strip(_BLANKS), charset))
    return list(_read_form(body.strip(_BLANKS), charset))


# A provider sends the same header and the same names with every callback.
@lru_cache(maxsize=16)
def _parse_content_type(content_type: str) -> tuple[bytes, str | None]:
    """Return the boundary of a multipart form, or no bytes, and the charset."""
    header = Message()
    header["Content-Type"] = content_type.encode("ascii", "replace").decode()
    is_multipart = header.get_content_maintype() == "multipart"
    boundary = (header.get_boundary() or "") if is_multipart else ""
    return boundary.encode("utf-8", "replace"), header.get_content_charset()


def _to_ascii_based(body: bytes, charset: str | None) -> bytes:
    """Drop the byte order marks, and turn UTF-16 and UTF-32 into UTF-8."""
    marks = _UTF8_MARKS.match(body)
    if marks:
        return body[marks.end() :]
    encoding = next((encoding for mark, encoding in _WIDE_MARKS if body.startswith(mark)), None)
    if encoding is None and len(body) > 2:
        # ASCII in UTF-16 without a mark: every second byte is zero.
        little_endian, big_endian = not any(body[1::2]), not any(body[::2])
        encoding = "utf-16-le" if little_endian else "utf-16-be" if big_endian else None
    if encoding is None and charset in _WIDE:
        encoding = charset
    return body if encoding is None else body.decode(encoding, "replace").encode()


def _decode(data: bytes, charset: str | None) -> str:
    """Decode one name or value. Bytes in no known encoding leave U+FFFD, which makes the value unreadable."""
    first = "iso-2022-jp" if _ESCAPE in data else "ascii"
    for encoding in (first, "utf-8", charset if charset in _DECLARED else "ascii", "cp932"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "cp932" or not _NOT_SHIFT_JIS.search(text):
            return text
    return data.decode("utf-8", "replace")


def _read_form(body: bytes, charset: str | None) -> Iterator[_Pair]:
    for pair in body.split(find_separator(body)):
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        if name:
            yield _decode(unquote_to_bytes(name), charset), _decode(unquote_to_bytes(value), charset)


def _read_multipart(body: bytes, boundary: bytes, charset: str | None) -> Iterator[_Pair]:
    """Read the parts of multipart/form-data. A part that the end of the body cuts off is unreadable."""
    header = f'Content-Type: multipart/form-data; boundary="{quote(boundary.decode("latin-1"))}"\r\n\r\n'
    message = message_from_bytes(header.encode("latin-1") + body)
    if not message.is_multipart():
        raise WebhookUnreadableError("not_multipart")
    is_cut_off = any(isinstance(defect, CloseBoundaryNotFoundDefect) for defect in message.defects)
    parts = cast("list[Message]", message.get_payload())
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if name is None:
            continue
        if not isinstance(content, bytes) or (is_cut_off and part is parts[-1]):
            yield collapse_rfc2231_value(name), None
        else:
            yield collapse_rfc2231_value(name), _decode(content, part.get_content_charset() or charset)


def _read_json(body: bytes, charset: str | None) -> Iterator[_Pair]:
    """Read the members of one object, or of every object in a list.

    Raises:
        WebhookUnreadableError: the body is no such JSON.
    """
    parsed = _parse_json(body)
    for members in [parsed] if isinstance(parsed, _JsonObject) else parsed:
        if not isinstance(members, _JsonObject):
            raise WebhookUnreadableError("not_json")
        for name, value in members:
            is_list = isinstance(value, list) and not isinstance(value, _JsonObject)
            for element in value if is_list else [value]:
                yield _restore(name, charset) or "", _to_text(element, charset)


def _parse_json(body: bytes) -> Any:
    """Parse the body byte for byte, or as Windows' Shift_JIS if only that is JSON.

    In Shift_JIS the second byte of a character may be a backslash.
    """
    for encoding, errors in (("utf-8", "surrogateescape"), ("cp932", "strict")):
        try:
            # Numbers stay as written: an id like 1563433858.60 is no number, even if its quotes are missing.
            return json.loads(
                body.decode(encoding, errors),
                object_pairs_hook=_JsonObject,
                parse_int=str,
                parse_float=str,
                parse_constant=lambda _: False,
                strict=False,
            )
        except (ValueError, RecursionError):
            continue
    raise WebhookUnreadableError("not_json")


def _to_text(value: object, charset: str | None) -> str | None:
    """Return the text of a JSON value: null is empty, and anything but a text or a number is unreadable."""
    if value is None:
        return ""
    return _restore(value, charset) if isinstance(value, str) else None


def _restore(text: str, charset: str | None) -> str | None:
    """Decode the bytes that stand in a JSON text. Half of a surrogate pair is unreadable."""
    try:
        return _decode(text.encode("utf-8", "surrogateescape"), charset)
    except UnicodeEncodeError:
        return None


@lru_cache(maxsize=64)
def _normalise_name(name: str) -> str:
    return _LIST_MARK.sub("", _NAME_PREFIX.sub("", name).rstrip()).rstrip().lower()

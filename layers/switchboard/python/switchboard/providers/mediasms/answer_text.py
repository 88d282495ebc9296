"""Read the visible text of an answer of MediaSMS: of HTML or XML, of JSON, or as it is.

The standard library's parsers take the answer apart. `answers` imports this module only for an answer that is more than
a bare code.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Final

_HIDING_ELEMENTS: Final = frozenset({"head", "title", "script", "style", "template"})
_CDATA: Final = "CDATA["


@dataclass(frozen=True, slots=True)
class VisibleText:
    """One text that an answer shows, not empty, in NFKC and with its white space collapsed.

    `names` are the names of the JSON members that hold it, from the outside in. An element of a list has the name
    `[]`. Text outside JSON has no names.
    """

    text: str
    names: tuple[str, ...] = ()


def read_visible_texts(body: bytes) -> list[VisibleText]:
    """Return what a reader sees of an answer, in its order.

    A head, scripts, styles, comments, attributes and the names of elements are invisible. Texts of different elements
    never grow together. Markup may hold JSON. Markup that the parser cannot read shows nothing.
    """
    raw = body.decode("utf-8", "replace").replace("\ufeff", "").strip()
    texts = _read_json(raw)
    if texts is None and ("<" in raw or "&" in raw):
        raw = _read_markup(raw)
        texts = _read_json(raw)
    if texts is None:
        texts = [VisibleText(raw)]
    normal = (VisibleText(_normalise(visible.text), visible.names) for visible in texts)
    return [visible for visible in normal if visible.text]


def _normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _read_json(text: str) -> list[VisibleText] | None:
    """Return the values of a JSON text with their names, or None if it is no JSON. Numbers stay as they are written."""
    try:
        value = json.loads(text, object_pairs_hook=_Members, parse_int=str, parse_float=str, parse_constant=str)
        return list(_walk(value, ()))
    except (ValueError, RecursionError):
        return None


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, with those of the same name."""


def _walk(value: Any, names: tuple[str, ...]) -> Iterator[VisibleText]:
    if isinstance(value, _Members):
        for name, member in value:
            yield from _walk(member, (*names, _normalise(name).casefold()))
    elif isinstance(value, list):
        for element in value:
            yield from _walk(element, (*names, "[]"))
    elif value is not None:
        yield VisibleText(str(value), names)


def _read_markup(markup: str) -> str:
    reader = _MarkupReader()
    try:
        reader.feed(markup)
        reader.close()
    except AssertionError:  # the parser's own way to give up
        return ""
    return " ".join(reader.texts)


class _MarkupReader(HTMLParser):
    """A parser that collects the visible texts of HTML or XML, also if it is broken."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._hiding: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - attributes are invisible
        if tag == "body":  # it ends a head without an end tag
            self._hiding.clear()
        elif tag in _HIDING_ELEMENTS:
            self._hiding.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hiding:
            del self._hiding[self._hiding.index(tag) :]

    def handle_data(self, data: str) -> None:
        if not self._hiding:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.unknown_decl(data)

    def unknown_decl(self, data: str) -> None:
        # Releases of Python differ in how they pass on a CDATA section of XML.
        section = data.removeprefix("[")
        if section.startswith(_CDATA):
            self.handle_data(section.removeprefix(_CDATA).removesuffix("]]"))

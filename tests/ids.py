"""Readable ids for the rows of parametrised tests."""

from __future__ import annotations

_MAX_LENGTH = 40


def describe_row(value: object) -> str:
    """Describe a row of any type by its repr, in printable ASCII and of bounded length."""
    text = ascii(value).replace("\\\\", "\\")
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 3]}..."

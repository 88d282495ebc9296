"""Join two mono MP3s into one file of two channels."""

from __future__ import annotations

from collections.abc import Iterator


class NotJoinableError(Exception):
    """Two files that cannot be joined without decoding them."""


def join(left: Iterator[bytes], right: Iterator[bytes]) -> Iterator[bytes]:
    """Join nothing yet.

    Raises:
        NotJoinableError: always.
    """
    raise NotJoinableError("no file is joined yet")

"""Encode file names for S3's keys and metadata, which take ASCII of limited length."""

from __future__ import annotations

from urllib.parse import quote


def quote_within(name: str, limit: int) -> str:
    """URL-encode the name. Of a name that is too long, keep as much of its end as fits into `limit` characters."""
    encoded: list[str] = []
    space_left = limit
    for character in reversed(name):
        quoted = quote(character, safe="")
        space_left -= len(quoted)
        if space_left < 0:
            break
        encoded.append(quoted)
    return "".join(reversed(encoded))

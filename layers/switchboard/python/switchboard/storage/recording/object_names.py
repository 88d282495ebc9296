"""File names as parts of S3's keys and metadata, which take ASCII and are of bounded length."""

from __future__ import annotations

from urllib.parse import quote


def quoted_within(name: str, limit: int) -> str:
    """The name URL-encoded; of a longer one as much of its end as fits into `limit` characters."""
    kept: list[str] = []
    room = limit
    for character in reversed(name):
        encoded = quote(character, safe="")
        room -= len(encoded)
        if room < 0:
            break
        kept.append(encoded)
    return "".join(reversed(kept))

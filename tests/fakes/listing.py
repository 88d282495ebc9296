"""Lists in memory, with the order, the limits and the positions of the StateTable's indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.ports.listing import ListingQuery, Page

T = TypeVar("T")


def list_page(
    entries: Iterable[tuple[datetime, str, T]], query: ListingQuery, *, is_id: Callable[[str], bool]
) -> Page[T]:
    """Return one page of the entries, each of which is its time, its id and the item itself."""
    first = to_rfc3339(query.since) if query.since else "0"
    last = to_rfc3339(query.until) if query.until else "~"
    if query.position is not None and not (_is_position(query.position, is_id) and first <= query.position <= last):
        raise InvalidRequestError(FieldProblem("cursor", "was not handed out", code="invalid_cursor"))
    items = {f"{to_rfc3339(at)}#{item_id}": item for at, item_id, item in entries}
    positions = sorted((position for position in items if first <= position <= last), reverse=True)
    positions = [position for position in positions if query.position is None or position < query.position]
    page = positions[: query.limit]
    return Page(
        items=[items[position] for position in page],
        next_position=page[-1] if len(page) == query.limit else None,
    )


def _is_position(text: str, is_id: Callable[[str], bool]) -> bool:
    instant, separator, item_id = text[:24], text[24:25], text[25:]
    try:
        from_rfc3339(instant)
    except ValueError:
        return False
    return separator == "#" and is_id(item_id)

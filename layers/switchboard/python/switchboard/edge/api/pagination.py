"""What all lists share: their query parameters, and the cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from enum import StrEnum

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import PhoneNumber, parse_phone_number
from switchboard.domain.timestamps import parse_timestamp
from switchboard.edge.http import InboundRequest
from switchboard.usecases.query import OrderFilter


def parse_listing(
    request: InboundRequest, *, states: type[StrEnum], parse_number: Callable[[str], PhoneNumber] = parse_phone_number
) -> tuple[OrderFilter, int, str | None]:
    """`?to=&state=&since=&until=&limit=&cursor=` as filter, limit and position. Raises InvalidRequestError."""
    given = single_values(request.query, known=("to", "state", "since", "until", "limit", "cursor"))
    state = given.get("state")
    if state is not None and state not in frozenset(states):
        raise InvalidRequestError(FieldProblem("state", "is not one of the states"))
    wanted = OrderFilter(
        recipient=parse_number(given["to"]).e164 if "to" in given else None,
        state=states(state) if state is not None else None,
        since=parse_timestamp(given["since"], field="since") if "since" in given else None,
        until=parse_timestamp(given["until"], field="until") if "until" in given else None,
    )
    return wanted, limit_in(given.get("limit")), position_in(given.get("cursor"))


def cursor_of(position: str | None) -> str | None:
    """A list position as the opaque text callers hand back."""
    return None if position is None else base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def position_in(cursor: str | None) -> str | None:
    """The position in a cursor that was handed out. Raises InvalidRequestError."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise InvalidRequestError(FieldProblem("cursor", "is not one that was handed out", "invalid_cursor")) from None


def limit_in(text: str | None) -> int:
    """1 to 100, and 25 where nobody says. Raises InvalidRequestError."""
    if text is None:
        return 25
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 100):
        raise InvalidRequestError(FieldProblem("limit", "must be a whole number from 1 to 100"))
    return int(text)


def single_values(query: Mapping[str, tuple[str, ...]], *, known: tuple[str, ...]) -> dict[str, str]:
    """Each parameter given, once and by a known name. Raises InvalidRequestError with a problem each."""
    problems = []
    for name, values in query.items():
        if name not in known:
            problems.append(FieldProblem(name[:50], "is not a parameter of this route", "unknown_parameter"))
        elif len(values) != 1:
            problems.append(FieldProblem(name, "may be given once", "duplicate_parameter"))
    if problems:
        raise InvalidRequestError(*problems)
    return {name: values[0] for name, values in query.items()}

"""Reads the query parameters of lists, and writes and reads their cursors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from enum import StrEnum

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.orders import MAX_REFERENCE_LENGTH
from switchboard.domain.phone_numbers import PhoneNumber, parse_phone_number
from switchboard.domain.timestamps import parse_timestamp
from switchboard.edge.http import InboundRequest
from switchboard.usecases.query import OrderFilter

_DEFAULT_LIMIT = 25


def parse_listing(
    request: InboundRequest, *, states: type[StrEnum], parse_number: Callable[[str], PhoneNumber] = parse_phone_number
) -> tuple[OrderFilter, int, str | None]:
    """Read `?to=&state=&reference=&since=&until=&limit=&cursor=` as filter, limit and position.

    Raises:
        InvalidRequestError: with a problem for each parameter that is wrong.
    """
    values = parse_single_values(
        request.query, allowed=("to", "state", "reference", "since", "until", "limit", "cursor")
    )
    state = values.get("state")
    if state is not None and state not in frozenset(states):
        raise InvalidRequestError(FieldProblem("state", "is not one of the states"))
    reference = values.get("reference")
    if reference is not None and not 1 <= len(reference) <= MAX_REFERENCE_LENGTH:
        raise InvalidRequestError(FieldProblem("reference", f"must be 1 to {MAX_REFERENCE_LENGTH} characters"))
    order_filter = OrderFilter(
        recipient=parse_number(values["to"]).e164 if "to" in values else None,
        state=states(state) if state is not None else None,
        reference=reference,
        since=parse_timestamp(values["since"], field="since") if "since" in values else None,
        until=parse_timestamp(values["until"], field="until") if "until" in values else None,
    )
    return order_filter, parse_limit(values.get("limit")), parse_cursor(values.get("cursor"))


def to_cursor(position: str | None) -> str | None:
    """Write a list position as the opaque text that callers send back."""
    return None if position is None else base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def parse_cursor(cursor: str | None) -> str | None:
    """Read the position in a cursor that `to_cursor` wrote.

    Raises:
        InvalidRequestError: the text is no such cursor.
    """
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise InvalidRequestError(
            FieldProblem("cursor", "must be the `next` of an earlier page", "invalid_cursor")
        ) from None


def parse_limit(text: str | None) -> int:
    """Read a limit of 1 to 100; 25 if there is none.

    Raises:
        InvalidRequestError: the text is no such number.
    """
    if text is None:
        return _DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 100):
        raise InvalidRequestError(FieldProblem("limit", "must be a whole number from 1 to 100"))
    return int(text)


def parse_single_values(query: Mapping[str, tuple[str, ...]], *, allowed: tuple[str, ...]) -> dict[str, str]:
    """Read each parameter's only value.

    Raises:
        InvalidRequestError: with a problem for each parameter that is not `allowed` or has several values.
    """
    problems = []
    for name, values in query.items():
        if name not in allowed:
            problems.append(FieldProblem(name[:50], "is not a parameter of this route", "unknown_parameter"))
        elif len(values) != 1:
            problems.append(FieldProblem(name, "may be given once", "duplicate_parameter"))
    if problems:
        raise InvalidRequestError(*problems)
    return {name: values[0] for name, values in query.items()}

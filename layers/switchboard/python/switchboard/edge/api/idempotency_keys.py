"""Reads the idempotency key of a caller's request."""

from __future__ import annotations

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.edge.http import InboundRequest


def parse_idempotency_key(request: InboundRequest) -> str | None:
    """Read 1 to 64 visible ASCII characters. Return None if there is no such header.

    Raises:
        InvalidRequestError: the key is something else, or is given twice and differently.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if "idempotency-key" in request.ambiguous:
        raise InvalidRequestError(FieldProblem("Idempotency-Key", "may be given once", "duplicate_header"))
    if not 1 <= len(key) <= 64 or any(not "!" <= character <= "~" for character in key):
        raise InvalidRequestError(FieldProblem("Idempotency-Key", "must be 1 to 64 visible ASCII characters"))
    return key

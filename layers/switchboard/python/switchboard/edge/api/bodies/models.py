"""Reads what all requests of callers share: a JSON body by a model, and the idempotency key."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.edge.http import InboundRequest

# One request holds one text; 100 of the longest texts would fit.
BODY_LIMIT_BYTES = 65_536

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], content: dict[str, Any]) -> M:
    """Read a JSON object by a model.

    Raises:
        InvalidRequestError: with a problem for each field that is wrong; none repeats a value.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = {
            str(detail["loc"][0]): FieldProblem(
                field=str(detail["loc"][0])[:50], message=detail["msg"], code=detail["type"]
            )
            for detail in error.errors(include_input=False, include_context=False, include_url=False)
        }
        raise InvalidRequestError(*problems.values()) from None


def parse_body_as(model: type[M], request: InboundRequest, *, limit_bytes: int = BODY_LIMIT_BYTES) -> M:
    """Read the request's JSON body by a model.

    Raises:
        MalformedRequestError: the body is no JSON object.
        PayloadTooLargeError: the body is larger than `limit_bytes`.
        InvalidRequestError: with a problem for each field that is wrong; none repeats a value.
    """
    return validate(model, request.json_object(limit_bytes=limit_bytes))


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

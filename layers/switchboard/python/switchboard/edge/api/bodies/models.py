"""Reads a JSON body by a model."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.edge.http import BODY_LIMIT_BYTES, InboundRequest

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

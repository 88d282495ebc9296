"""What all callers' requests share: a JSON body held against a model, and the idempotency key."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.edge.http import InboundRequest

# 100 texts of the longest kind would fit; one request is one text.
BODY_LIMIT_BYTES = 65_536

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], content: dict[str, Any]) -> M:
    """Raises InvalidRequestError with a problem a field; none repeats a value."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = {
            ".".join(str(part) for part in each["loc"][:1]): FieldProblem(
                field=str(each["loc"][0])[:50], message=each["msg"], code=each["type"]
            )
            for each in error.errors(include_input=False, include_context=False, include_url=False)
        }
        raise InvalidRequestError(*problems.values()) from None


def parse_idempotency_key(request: InboundRequest) -> str | None:
    """1 to 64 visible ASCII characters, or None where the header is absent. Raises InvalidRequestError."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if "idempotency-key" in request.ambiguous:
        raise InvalidRequestError(FieldProblem("Idempotency-Key", "may be given once", "duplicate_header"))
    if not 1 <= len(key) <= 64 or any(not "!" <= character <= "~" for character in key):
        raise InvalidRequestError(FieldProblem("Idempotency-Key", "must be 1 to 64 visible ASCII characters"))
    return key

"""Reads the bodies of the requests to the verification routes (contract, "Verification by telephone")."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from switchboard.domain.orders import MAX_REFERENCE_LENGTH
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.one_time_codes import MAX_WRITTEN_LENGTH
from switchboard.domain.verification.requests import FallbackRequest, Language, VerificationRequest
from switchboard.domain.verification.verifications import VerificationLines
from switchboard.edge.http import InboundRequest, parse_body_as, validate


class FallbackBody(BaseModel):
    """The member `fallback` of a request for a code."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    mode: Literal["call_out"]
    after_seconds: Annotated[int, Field(ge=0, lt=10_000)]


class StartVerificationBody(BaseModel):
    """The body of `POST /v1/verifications`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    to: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    mode: Annotated[VerificationMode, Field(strict=False)]
    text: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    lines: Annotated[VerificationLines, Field(strict=False)] = VerificationLines.MOBILE
    line: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    holding_minutes: Annotated[int, Field(ge=0, lt=1_000)] | None = None
    repeat_calls: Annotated[int, Field(ge=0, lt=100)] | None = None
    reference: Annotated[str, StringConstraints(min_length=1, max_length=MAX_REFERENCE_LENGTH)] | None = None
    code_length: Annotated[int, Field(ge=4, le=10)] | None = None
    valid_minutes: Annotated[int, Field(ge=1, le=30)] | None = None
    origin: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = None
    language: Language | None = None
    fallback: FallbackBody | None = None

    def request(self) -> VerificationRequest:
        """Return what to verify, and how."""
        return VerificationRequest(
            to=self.to,
            mode=self.mode,
            text=self.text,
            lines=self.lines,
            line=self.line,
            holding_minutes=self.holding_minutes,
            repeat_calls=self.repeat_calls,
            reference=self.reference,
            code_length=self.code_length,
            valid_minutes=self.valid_minutes,
            origin=self.origin,
            language=self.language,
            fallback=FallbackRequest(after_seconds=self.fallback.after_seconds) if self.fallback else None,
        )


class CheckVerificationBody(BaseModel):
    """The body of `POST /v1/verifications/{verification_id}/check`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    code: Annotated[str, StringConstraints(min_length=1, max_length=MAX_WRITTEN_LENGTH)]


def parse_body(request: InboundRequest) -> StartVerificationBody:
    """Read the body of `POST /v1/verifications`. Raises like `parse_body_as`."""
    return parse_body_as(StartVerificationBody, request)


def validate_check_body(content: dict[str, Any]) -> str:
    """Return the code in the body of a check as it is written. Raises like `validate`."""
    return validate(CheckVerificationBody, content).code

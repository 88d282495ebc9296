"""Compose a verification from a caller's request: check number, mode, lines and times together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import NumberKind, PhoneNumber, parse_phone_number
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.sms.texts import normalise
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import VerificationLines

DEFAULT_REPEAT_CALLS: Final = 1
"""Further calls of CALL_OUT until the call is answered, if the caller names no number of calls and more are allowed."""


@dataclass(frozen=True, slots=True)
class VerificationRules:
    """The 050 lines of this deployment (national form, 11 digits), its default holding time and its largest values."""

    pool: tuple[str, ...]
    holding_minutes: int
    max_holding_minutes: int
    max_repeat_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRequest:
    """One verification as the caller requests it, unchecked."""

    to: str
    mode: VerificationMode
    text: str | None = None
    lines: VerificationLines = VerificationLines.MOBILE
    line: str | None = None
    holding_minutes: int | None = None
    repeat_calls: int | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedVerification:
    """A checked request.

    `candidates` are the lines that the verification may use, best first. If the caller named a `line`, it is the only
    candidate.
    """

    recipient: PhoneNumber
    mode: VerificationMode
    lines: VerificationLines
    line: str | None
    candidates: tuple[str, ...]
    holding_minutes: int
    repeat_calls: int | None
    content: SmsContent | None
    reference: str | None = None


def compose(request: VerificationRequest, *, rules: VerificationRules) -> ComposedVerification:
    """Check a request and compose the verification.

    The provider's client checks what only the provider's document says about text and times.

    Raises:
        InvalidRequestError: with every problem.
    """
    problems: list[FieldProblem] = []
    recipient, candidates = None, rules.pool
    try:
        recipient = parse_phone_number(request.to)
        _check_recipient(recipient, request)
    except InvalidRequestError as error:
        problems += error.problems
    try:
        candidates = _select_candidates(request.line, rules.pool)
    except InvalidRequestError as error:
        problems += error.problems
    problems += _find_conflicts(request)
    problems += _find_excesses(request, rules)
    if problems or recipient is None:
        raise InvalidRequestError(*problems)
    repeat_calls = None
    if request.mode is VerificationMode.CALL_OUT:
        default = min(DEFAULT_REPEAT_CALLS, rules.max_repeat_calls)
        repeat_calls = default if request.repeat_calls is None else request.repeat_calls
    return ComposedVerification(
        recipient=recipient,
        mode=request.mode,
        lines=request.lines,
        line=candidates[0] if request.line is not None else None,
        candidates=candidates,
        holding_minutes=rules.holding_minutes if request.holding_minutes is None else request.holding_minutes,
        repeat_calls=repeat_calls,
        content=None if request.text is None else SmsContent(text=normalise(request.text)),
        reference=request.reference,
    )


def parse_line(written: str, *, field: str = "line") -> str:
    """Read a 050 number and return its national form.

    Raises:
        InvalidRequestError: naming `field`, if it is not a 050 number.
    """
    number = parse_phone_number(written, field=field)
    if number.kind is not NumberKind.IP_PHONE:
        raise InvalidRequestError(FieldProblem(field, "is not a 050 number", "invalid_line"))
    return number.national


def _select_candidates(written_line: str | None, pool: Sequence[str]) -> tuple[str, ...]:
    if not pool:
        message = "is not available: this deployment has no lines set up"
        raise InvalidRequestError(FieldProblem("line", message, "no_lines"))
    if written_line is None:
        return tuple(pool)
    line = parse_line(written_line)
    if line not in pool:
        raise InvalidRequestError(FieldProblem("line", "is not one of this deployment's lines", "unknown_line"))
    return (line,)


def _check_recipient(recipient: PhoneNumber, request: VerificationRequest) -> None:
    """Check that the number suits the requested lines and mode.

    Numbers of 10 digits are for `fixed` and `any` only, and receive no SMS. Numbers outside Japan cannot be verified.
    """
    kinds = {
        VerificationLines.MOBILE: {NumberKind.MOBILE, NumberKind.M2M},
        VerificationLines.FIXED: {NumberKind.FIXED},
        VerificationLines.ANY: {NumberKind.MOBILE, NumberKind.M2M, NumberKind.FIXED},
    }
    if recipient.kind not in kinds[request.lines]:
        message = f"is not a number of the kind that `lines` allows (`{request.lines}`)"
        raise InvalidRequestError(FieldProblem("to", message, "not_verifiable"))
    if request.mode is VerificationMode.SMS_AND_CALL_IN and recipient.kind is NumberKind.FIXED:
        raise InvalidRequestError(FieldProblem("to", "is a fixed line, which cannot receive SMS", "not_sms_capable"))


def _find_conflicts(request: VerificationRequest) -> list[FieldProblem]:
    problems = []
    sends_sms = request.mode is VerificationMode.SMS_AND_CALL_IN
    if sends_sms and request.text is None:
        problems.append(FieldProblem("text", "is required with mode sms_and_call_in", "required"))
    if request.text is not None and not sends_sms:
        problems.append(FieldProblem("text", "is for mode sms_and_call_in only: no other sends an SMS", "conflict"))
    if request.repeat_calls is not None and request.mode is not VerificationMode.CALL_OUT:
        problems.append(FieldProblem("repeat_calls", "is for mode call_out only", "conflict"))
    return problems


def _find_excesses(request: VerificationRequest, rules: VerificationRules) -> list[FieldProblem]:
    """Find the values with which one request would hold a number, or ring it, for longer than is allowed."""
    limits = {
        "holding_minutes": (request.holding_minutes, rules.max_holding_minutes),
        "repeat_calls": (request.repeat_calls, rules.max_repeat_calls),
    }
    return [
        FieldProblem(field, f"must be 0 to {most} in this deployment", "too_large")
        for field, (value, most) in limits.items()
        if value is not None and value > most
    ]

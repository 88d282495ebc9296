"""From what a caller asked to a verification that may be started: number, mode, lines and times checked together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import NumberKind, PhoneNumber, parse_phone_number
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.sms.shift_jis import normalise
from switchboard.domain.verification.verifications import VerificationLines, VerificationMode

DEFAULT_REPEAT_CALLS: Final = 2
"""Further calls of CALL_OUT until somebody answers, where the caller does not say."""


@dataclass(frozen=True, slots=True)
class VerificationRules:
    """This deployment's 050 lines (national form, 11 digits) and its usual holding time."""

    pool: tuple[str, ...]
    holding_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRequest:
    """One verification in the caller's own words."""

    to: str
    mode: VerificationMode
    text: str | None = None
    lines: VerificationLines = VerificationLines.MOBILE
    line: str | None = None
    holding_minutes: int | None = None
    repeat_calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedVerification:
    """A request that may be carried out. `candidates` are the lines that it may be called on, best first: only `line`
    where the caller asked for that."""

    recipient: PhoneNumber
    mode: VerificationMode
    lines: VerificationLines
    line: str | None
    candidates: tuple[str, ...]
    holding_minutes: int
    repeat_calls: int | None
    content: SmsContent | None


def compose(request: VerificationRequest, *, rules: VerificationRules) -> ComposedVerification:
    """Raises InvalidRequestError with everything that is wrong here; what only the provider's document says of text
    and times is checked by its client."""
    problems: list[FieldProblem] = []
    recipient, candidates = None, rules.pool
    try:
        recipient = parse_phone_number(request.to)
        _check_recipient(recipient, request)
    except InvalidRequestError as error:
        problems += error.problems
    try:
        candidates = _candidates(request.line, rules.pool)
    except InvalidRequestError as error:
        problems += error.problems
    problems += _conflicts(request)
    if problems or recipient is None:
        raise InvalidRequestError(*problems)
    calls_out = request.mode is VerificationMode.CALL_OUT
    repeats = DEFAULT_REPEAT_CALLS if request.repeat_calls is None else request.repeat_calls
    return ComposedVerification(
        recipient=recipient,
        mode=request.mode,
        lines=request.lines,
        line=candidates[0] if request.line is not None else None,
        candidates=candidates,
        holding_minutes=rules.holding_minutes if request.holding_minutes is None else request.holding_minutes,
        repeat_calls=repeats if calls_out else None,
        content=None if request.text is None else SmsContent(text=normalise(request.text)),
    )


def parse_line(written: str, *, field: str = "line") -> str:
    """A 050 number in national form. Raises InvalidRequestError."""
    number = parse_phone_number(written, field=field)
    if number.kind is not NumberKind.IP_PHONE:
        raise InvalidRequestError(FieldProblem(field, "is not a 050 number", "invalid_line"))
    return number.national


def _candidates(asked: str | None, pool: Sequence[str]) -> tuple[str, ...]:
    if not pool:
        raise InvalidRequestError(FieldProblem("line", "is needed: this deployment has no lines", "no_lines"))
    if asked is None:
        return tuple(pool)
    line = parse_line(asked)
    if line not in pool:
        raise InvalidRequestError(FieldProblem("line", "is not one of this deployment's lines", "unknown_line"))
    return (line,)


def _check_recipient(recipient: PhoneNumber, request: VerificationRequest) -> None:
    """Numbers of 10 digits are for `fixed` and `any` only, and get no SMS; nobody outside Japan can be verified."""
    kinds = {
        VerificationLines.MOBILE: {NumberKind.MOBILE, NumberKind.M2M},
        VerificationLines.FIXED: {NumberKind.FIXED},
        VerificationLines.ANY: {NumberKind.MOBILE, NumberKind.M2M, NumberKind.FIXED},
    }
    if recipient.kind not in kinds[request.lines]:
        message = f"is not a number that lines `{request.lines}` takes"
        raise InvalidRequestError(FieldProblem("to", message, "not_verifiable"))
    if request.mode is VerificationMode.SMS_AND_CALL_IN and recipient.kind is NumberKind.FIXED:
        raise InvalidRequestError(FieldProblem("to", "is a fixed line, which cannot receive SMS", "not_sms_capable"))


def _conflicts(request: VerificationRequest) -> list[FieldProblem]:
    problems = []
    texts = request.mode is VerificationMode.SMS_AND_CALL_IN
    if texts and request.text is None:
        problems.append(FieldProblem("text", "is required with sms_and_call_in", "required"))
    if request.text is not None and not texts:
        problems.append(FieldProblem("text", "is for sms_and_call_in only: no other mode sends an SMS", "conflict"))
    if request.repeat_calls is not None and request.mode is not VerificationMode.CALL_OUT:
        problems.append(FieldProblem("repeat_calls", "is for call_out only", "conflict"))
    return problems

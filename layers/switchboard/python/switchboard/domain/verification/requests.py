"""Compose a verification from a caller's request: check number, mode, text, lines and times together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import NumberKind, PhoneNumber, check_sms_recipient, parse_phone_number
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.sms.requests import preflight
from switchboard.domain.sms.texts import normalise
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import (
    CODE_PLACE,
    LEAST_FALLBACK_DELAY,
    LEAST_TIME_FOR_CALL,
    Fallback,
    VerificationLines,
    render,
)

DEFAULT_REPEAT_CALLS: Final = 1
"""Further calls of CALL_OUT until the call is answered, if the caller names no number of calls and more are allowed."""


DEFAULT_CODE_LENGTH: Final = 6
DEFAULT_VALID_MINUTES: Final = 10
MAX_CODE_LENGTH: Final = 10

Language = Literal["ja", "zh", "en"]
DEFAULT_LANGUAGE: Final[Language] = "ja"

_MAX_ORIGIN_LENGTH: Final = 253
_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN: Final = re.compile(rf"({_LABEL}\.)+{_LABEL}")


@dataclass(frozen=True, slots=True)
class VerificationRules:
    """The 050 lines of this deployment (national form, 11 digits), its default holding time and its largest values.

    `code_texts` are the texts of codes by language, each with `{code}` in it. `long_sms` is the contract's long-text
    option.
    """

    pool: tuple[str, ...]
    holding_minutes: int
    max_holding_minutes: int
    max_repeat_calls: int
    code_texts: Mapping[str, str] = field(default_factory=dict)
    long_sms: bool = False


@dataclass(frozen=True, slots=True)
class FallbackRequest:
    """The wish to call the number `after_seconds` after an SMS that is not delivered by then."""

    after_seconds: int


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
    code_length: int | None = None
    valid_minutes: int | None = None
    origin: str | None = None
    language: Language | None = None
    fallback: FallbackRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedVerification:
    """A checked request.

    `candidates` are the lines that the verification may use, best first. If the caller named a `line`, it is the only
    candidate. A code needs none, unless it falls back to a call: then its one candidate is the call's line.
    `holding_minutes` is for how long the verification lasts. `content` is a template if there is a `code_length`.
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
    code_length: int | None = None
    origin: str | None = None
    fallback: Fallback | None = None


def compose(request: VerificationRequest, *, rules: VerificationRules) -> ComposedVerification:
    """Check a request and compose the verification.

    The provider's client checks what only the provider's document says about text and times.

    Raises:
        InvalidRequestError: with every problem.
    """
    if request.mode is VerificationMode.SMS_CODE:
        return _compose_code(request, rules)
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


def _compose_code(request: VerificationRequest, rules: VerificationRules) -> ComposedVerification:
    problems = _find_code_conflicts(request)
    recipient: PhoneNumber | None = None
    candidates: tuple[str, ...] = ("",)
    try:
        recipient = parse_phone_number(request.to)
        check_sms_recipient(recipient, overseas_prefixes=())
    except InvalidRequestError as error:
        problems += error.problems
    minutes = DEFAULT_VALID_MINUTES if request.valid_minutes is None else request.valid_minutes
    fallback = None
    if request.fallback is not None:
        problems += _find_fallback_problems(request.fallback, minutes)
        repeat_calls = min(DEFAULT_REPEAT_CALLS, rules.max_repeat_calls)
        fallback = Fallback(after=timedelta(seconds=request.fallback.after_seconds), repeat_calls=repeat_calls)
        try:
            candidates = _select_candidates(request.line, rules.pool)[:1]
        except InvalidRequestError as error:
            problems += error.problems
    length = DEFAULT_CODE_LENGTH if request.code_length is None else request.code_length
    text = normalise(rules.code_texts[request.language or DEFAULT_LANGUAGE] if request.text is None else request.text)
    problems += _find_template_problems(text, length=length, origin=request.origin, rules=rules)
    if problems or recipient is None:
        raise InvalidRequestError(*problems)
    return ComposedVerification(
        recipient=recipient,
        mode=request.mode,
        lines=request.lines,
        line=candidates[0] or None,
        candidates=candidates,
        holding_minutes=minutes,
        repeat_calls=None,
        content=SmsContent(text=text),
        code_length=length,
        origin=request.origin,
        fallback=fallback,
    )


def _find_code_conflicts(request: VerificationRequest) -> list[FieldProblem]:
    others = {
        "holding_minutes": request.holding_minutes,
        "repeat_calls": request.repeat_calls,
        "lines": None if request.lines is VerificationLines.MOBILE else request.lines,
        "line": request.line if request.fallback is None else None,
    }
    problems = [
        FieldProblem(name, "is for the modes with a telephone call only", "conflict")
        for name, value in others.items()
        if value is not None
    ]
    if request.text is not None and request.language is not None:
        problems.append(FieldProblem("language", "cannot be combined with text", "exclusive"))
    return problems


def _find_fallback_problems(fallback: FallbackRequest, valid_minutes: int) -> list[FieldProblem]:
    least = round(LEAST_FALLBACK_DELAY.total_seconds())
    most = valid_minutes * 60 - round(LEAST_TIME_FOR_CALL.total_seconds())
    if least <= fallback.after_seconds <= most:
        return []
    message = f"must be {least} to {most} with these valid_minutes" if most >= least else "needs more valid_minutes"
    return [FieldProblem("fallback.after_seconds", message, "out_of_range")]


def _find_template_problems(
    template: str, *, length: int, origin: str | None, rules: VerificationRules
) -> list[FieldProblem]:
    """Check the text as it is sent, with a code of this length and the line for the origin."""
    if template.count(CODE_PLACE) != 1:
        return [FieldProblem("text", f"must have {CODE_PLACE} in it once", "no_code")]
    if origin is not None and (len(origin) > _MAX_ORIGIN_LENGTH or not _ORIGIN.fullmatch(origin)):
        return [FieldProblem("origin", "must be a host name in lower case, such as example.com", "invalid_origin")]
    checked = preflight(render(template, "0" * length, origin=origin), long_sms=rules.long_sms)
    return list(checked.field_problems())


def check_code_text(template: str, *, long_sms: bool) -> bool:
    """Return whether a text of the configuration can be sent with the longest code."""
    rules = VerificationRules(pool=(), holding_minutes=0, max_holding_minutes=0, max_repeat_calls=0, long_sms=long_sms)
    return not _find_template_problems(normalise(template), length=MAX_CODE_LENGTH, origin=None, rules=rules)


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
        problems.append(FieldProblem("text", "is for the modes that send an SMS only", "conflict"))
    problems += [
        FieldProblem(name, "is for mode sms_code only", "conflict")
        for name in ("code_length", "valid_minutes", "origin", "language", "fallback")
        if getattr(request, name) is not None
    ]
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

"""Compose the parameters of Baidu VMS' POST /v1/call once into the bytes that every attempt sends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from switchboard.domain.chinese_numbers import CHINA, chinese_national_form
from switchboard.domain.errors import ConfigurationError, FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import PhoneNumber
from switchboard.domain.voice_calls import VoiceCallContent

TEMPLATE_TEXT: Final = 0
"""The document's only `type`."""

MAX_VARIABLES_LENGTH: Final = 4096
"""The most characters of `voiceMessageVar`. The document gives no limit; this one only bounds a request."""

_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,14}")
_TEMPLATE_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_SHOW_NUMBER: Final = re.compile(r"\+?[0-9]{3,20}")
_VOLUMES: Final = range(-20, 21)
_MAX_NAME_IN_PROBLEM: Final = 64
_SEPARATORS: Final = frozenset("&=")
_CALLED_NUMBER: Final = re.compile(r"[0-9]{5,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """The limits of this deployment's contract that the document does not name.

    A number has to begin with one of `prefixes` (`+` and digits). The document names no upper limit for repetitions;
    comparable services stop at 3. It names none for the tag's length.

    Raises:
        ConfigurationError: a limit makes no sense.
    """

    prefixes: tuple[str, ...] = (CHINA,)
    max_play_times: int = 3
    max_tag_length: int = 128

    def __post_init__(self) -> None:
        if not all(map(_PREFIX.fullmatch, self.prefixes)):
            raise ConfigurationError("a prefix must be a plus sign and the first digits of a number")
        if self.max_play_times < 1 or self.max_tag_length < 1:
            raise ConfigurationError("a call must be played at least once, and a tag must have at least one character")


def compose_body(recipient_e164: str, content: VoiceCallContent, *, rules: CallRules) -> str:
    """Compose the request's JSON text (section 语音通知发起接口, 请求参数).

    The text is the same for the same call, whatever the order of its variables.

    Raises:
        InvalidRequestError: in our own field names, with one FieldProblem for each thing that is wrong. None of them
            repeats a value.
    """
    problems = [*_check_content(content, rules=rules), *_check_variables(content.variables)]
    called_number = ""
    try:
        called_number = write_called_number(recipient_e164, prefixes=rules.prefixes)
    except InvalidRequestError as error:
        problems = [*error.problems, *problems]
    if problems:
        raise InvalidRequestError(*problems)
    parameters = {
        "calledShowNumber": content.show_number,
        "calledNumber": called_number,
        "type": TEMPLATE_TEXT,
        "voiceMessageTemplateId": content.template_id,
        "voiceMessageVar": "&".join(f"{name}={value}" for name, value in sorted(content.variables.items())),
        "userDefinedTag": content.tag,
        "playTimes": content.play_times,
        "voiceVolume": content.volume,
    }
    present = {name: value for name, value in parameters.items() if value is not None}
    return json.dumps(present, ensure_ascii=False, separators=(",", ":"))


def write_called_number(e164: str, *, prefixes: tuple[str, ...]) -> str:
    """Write the document's `calledNumber`, whose form the document does not give.

    A Chinese number is written as it is dialled there, without +86. Any other number is written with 00 and its country
    code, if `prefixes` allows it.

    Raises:
        InvalidRequestError: about `to`.
    """
    try:
        number = PhoneNumber(e164=e164)
    except InvalidRequestError as error:
        problems = (FieldProblem("to", problem.message, problem.code) for problem in error.problems)
        raise InvalidRequestError(*problems) from None
    if not e164.startswith(prefixes):
        message = "begins with a prefix that this service does not call"
        raise InvalidRequestError(FieldProblem("to", message, "prefix_not_allowed"))
    return chinese_national_form(number) if e164.startswith(CHINA) else "00" + e164.removeprefix("+")


def is_call_body(body: str) -> bool:
    """Tell whether this text has the form that `compose_body` writes."""
    try:
        parameters = json.loads(body)
        body.encode("utf-8")
    except (ValueError, RecursionError):
        return False
    if not isinstance(parameters, dict) or not parameters.keys() <= _FORMS.keys() or not parameters.keys() >= _REQUIRED:
        return False
    return all(_FORMS[name](value) for name, value in parameters.items())


def _check_content(content: VoiceCallContent, *, rules: CallRules) -> Iterator[FieldProblem]:
    if not _TEMPLATE_ID.fullmatch(content.template_id):
        yield FieldProblem("template_id", "must be 1 to 128 visible ASCII characters")
    if content.play_times is not None and not (
        _is_int(content.play_times) and 1 <= content.play_times <= rules.max_play_times
    ):
        yield FieldProblem("play_times", f"must be 1 to {rules.max_play_times}")
    if content.volume is not None and not (_is_int(content.volume) and content.volume in _VOLUMES):
        yield FieldProblem("volume", "must be -20 to 20")
    if content.tag is not None:
        if not 1 <= len(content.tag) <= rules.max_tag_length:
            yield FieldProblem("tag", f"must be 1 to {rules.max_tag_length} characters")
        if not _is_printable(content.tag):
            yield FieldProblem("tag", "holds an unprintable character")
    if content.show_number is not None and not _SHOW_NUMBER.fullmatch(content.show_number):
        yield FieldProblem("show_number", "must be 3 to 20 digits")


def _check_variables(variables: Mapping[str, str]) -> Iterator[FieldProblem]:
    """Check the variables. `&` and `=` separate them, and the document has no way to write them inside one."""
    for name, value in variables.items():
        # Only an identifier is quoted: any other name may be a value that the caller put in the wrong place.
        quotable = name.isidentifier() and len(name) <= _MAX_NAME_IN_PROBLEM
        field = f"variables.{name}" if quotable else "variables"
        if not name or not name.isprintable() or " " in name or _SEPARATORS & set(name):
            yield FieldProblem(field, "has a name that is empty or holds a space, &, = or an unprintable character")
        if _SEPARATORS & set(value):
            yield FieldProblem(field, "must not hold & or =")
        if not _is_printable(value):
            yield FieldProblem(field, "holds an unprintable character")
    if sum(len(name) + len(value) + 2 for name, value in variables.items()) > MAX_VARIABLES_LENGTH + 1:
        yield FieldProblem("variables", f"are longer than {MAX_VARIABLES_LENGTH} characters in all", "too_long")


def _is_printable(text: str) -> bool:
    """Tell whether the text is printable. The full-width space of Chinese texts counts, unlike in Python."""
    return text.replace("\u3000", " ").isprintable()


def _is_int(value: object) -> bool:
    return type(value) is int


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_FORMS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "calledShowNumber": _is_text,
    "calledNumber": lambda value: isinstance(value, str) and bool(_CALLED_NUMBER.fullmatch(value)),
    "type": lambda value: _is_int(value) and value == TEMPLATE_TEXT,
    "voiceMessageTemplateId": lambda value: isinstance(value, str) and value != "",
    "voiceMessageVar": _is_text,
    "userDefinedTag": _is_text,
    "playTimes": lambda value: _is_int(value) and value >= 1,
    "voiceVolume": lambda value: _is_int(value) and value in _VOLUMES,
}
_REQUIRED: Final = frozenset({"calledNumber", "type", "voiceMessageTemplateId", "voiceMessageVar"})

"""Everything about the simulated account and provider that a test or a person may choose."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Final, Literal

from sandbox.simulators.baidu_vms.errors import TEMPLATE_NOT_VERIFIED
from sandbox.simulators.baidu_vms.numbers import ANSWERED, UNANSWERED
from sandbox.simulators.baidu_vms.templates import TEMPLATES, Template
from sandbox.simulators.readers import WrongJsonError, one_of, optional, seconds, switch, text, web_address, whole

FACTS: Final = ("call_id", "tag", "number", "show_number", "result", "ended_at")
"""What a callback can tell."""

_FIELDS: Final = MappingProxyType({"call_id": "callId", "tag": "userDefinedTag", "result": "result"})
_RESULTS: Final = MappingProxyType({ANSWERED: "answered", UNANSWERED: "unanswered"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """The account, the document's open questions, and the speed of things. Names ending in `_s` are seconds."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    # The account.
    templates: Mapping[str, Template] = field(default_factory=lambda: TEMPLATES)
    show_number: str = "12345678"
    """The number that called parties see, unless the request names one."""
    number_pattern: str = r"\+?[0-9]{5,20}"
    """Numbers that can be called; any other is an IllegalNumber. The document gives no form."""
    concurrency_limit: int | None = None
    """Calls under way at which the next is a QueueFull; None is no end."""
    ringing_s: float = 3.0
    """How long a call is under way."""

    # Time.
    clock_offset_s: float = 0.0
    """Added to the clock: moves signatures, tokens and calls under way forwards or backwards."""

    # clientToken.
    tokens: Literal["honoured", "ignored"] = "honoured"
    """Whether VMS does what the document says in general of creating interfaces."""
    token_keeps_refusals: bool = False
    """Whether a refusal, too, is the result that a token repeats. The document is silent; False lets a token that
    brought no call be used again, with any request."""

    # The form of an answer.
    empty_date_create: bool = False
    space_before_request_id: bool = False
    """Whether error bodies have the space that the document's sample has."""
    keep_alive_s: float = 15.0
    slow_answer_s: float = 2.0
    hold_open_s: float = 30.0
    """How long an accepted request that is never answered stays open before the connection is closed."""

    # Callbacks: that there is one, the document only hints at. All of it is made up.
    callback_url: str | None = field(default=None, repr=False)
    callback_method: Literal["POST", "GET"] = "POST"
    callback_form: Literal["json", "form"] = "json"
    callback_fields: Mapping[str, str] = field(default_factory=lambda: _FIELDS)
    """The name of each field by what it tells, one of FACTS."""
    callback_results: Mapping[str, str] = field(default_factory=lambda: _RESULTS)
    """The value by how the call ended."""
    callback_timeout_s: float = 15.0

    def changed(self, changes: Mapping[str, object]) -> "SimulatorConfig":
        """Return this configuration with `changes` (decoded JSON) made.

        Raises ValueError naming the field when a field is unknown or its value is of the wrong kind.
        """
        values: dict[str, object] = {}
        for name, value in changes.items():
            reader = _READERS.get(name)
            if reader is None:
                raise WrongJsonError(f"no such setting: {name}")
            try:
                values[name] = reader(value)
            except (TypeError, ValueError) as problem:
                raise WrongJsonError(f"{name}: {problem}") from problem
        return replace(self, **values)  # type: ignore[arg-type]

    def shown(self) -> dict[str, object]:
        """Return every setting as JSON can carry it, without the keys."""
        shown: dict[str, object] = {f.name: getattr(self, f.name) for f in fields(self)}
        del shown["access_key"], shown["secret_key"]
        shown["templates"] = {
            name: {"text": template.text, "approved": template.error is None}
            for name, template in self.templates.items()
        }
        shown["callback_fields"] = dict(self.callback_fields)
        shown["callback_results"] = dict(self.callback_results)
        return shown


def _templates(value: object) -> Mapping[str, Template]:
    if not isinstance(value, dict):
        raise WrongJsonError("must be an object of templates by id")
    return MappingProxyType({text(name): _template(each) for name, each in value.items()})


def _template(value: object) -> Template:
    if not isinstance(value, dict):
        raise WrongJsonError("a template must be an object with its text")
    approved = switch(value.get("approved", True))
    return Template(text(value.get("text")), None if approved else TEMPLATE_NOT_VERIFIED)


def _texts_by(*allowed: str) -> Callable[[object], Mapping[str, str]]:
    def read(value: object) -> Mapping[str, str]:
        if not isinstance(value, dict) or not set(value) <= set(allowed):
            raise WrongJsonError(f"must be an object of texts by {', '.join(allowed)}")
        return MappingProxyType({name: text(each) for name, each in value.items()})

    return read


def _pattern(value: object) -> str:
    try:
        re.compile(text(value))
    except re.error as problem:
        raise WrongJsonError("must be a regular expression") from problem
    return text(value)


def _offset(value: object) -> float:
    # The sign is the caller's to choose, anything else as for durations.
    negative = isinstance(value, int | float) and not isinstance(value, bool) and value < 0
    return -seconds(-value) if negative else seconds(value)  # type: ignore[operator]


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "templates": _templates,
    "show_number": text,
    "number_pattern": _pattern,
    "concurrency_limit": optional(whole),
    "ringing_s": seconds,
    "clock_offset_s": _offset,
    "tokens": one_of("honoured", "ignored"),
    "token_keeps_refusals": switch,
    "empty_date_create": switch,
    "space_before_request_id": switch,
    "keep_alive_s": seconds,
    "slow_answer_s": seconds,
    "hold_open_s": seconds,
    "callback_url": optional(web_address),
    "callback_method": one_of("POST", "GET"),
    "callback_form": one_of("json", "form"),
    "callback_fields": _texts_by(*FACTS),
    "callback_results": _texts_by(ANSWERED, UNANSWERED),
    "callback_timeout_s": seconds,
}

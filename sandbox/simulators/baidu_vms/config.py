"""Everything about the simulated account and provider that a test or a person may choose."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from sandbox.simulators.baidu_vms.errors import TEMPLATE_NOT_VERIFIED
from sandbox.simulators.baidu_vms.numbers import ANSWERED, UNANSWERED
from sandbox.simulators.baidu_vms.templates import TEMPLATES, Template
from sandbox.simulators.json_readers import (
    WrongJsonError,
    mapping_reader,
    optional_reader,
    read_seconds,
    read_switch,
    read_text,
    read_web_address,
    read_whole_number,
)
from sandbox.simulators.settings import Settings, address, choice, setting

FACTS: Final = ("call_id", "tag", "number", "show_number", "result", "ended_at")
"""What a callback can tell."""

_FIELDS: Final = MappingProxyType({"call_id": "callId", "tag": "userDefinedTag", "result": "result"})
_RESULTS: Final = MappingProxyType({ANSWERED: "answered", UNANSWERED: "unanswered"})


def _template(value: object) -> Template:
    if not isinstance(value, dict):
        raise WrongJsonError("a template must be an object with its text")
    approved = read_switch(value.get("approved", True))
    return Template(read_text(value.get("text")), None if approved else TEMPLATE_NOT_VERIFIED)


def _texts_by(*names: str) -> Callable[[object], Mapping[str, str]]:
    return mapping_reader(read_text, called=f"texts by {', '.join(names)}", names=names)


def _pattern(value: object) -> str:
    try:
        re.compile(read_text(value))
    except re.error as problem:
        raise WrongJsonError("must be a regular expression") from problem
    return read_text(value)


def _offset(value: object) -> float:
    # The sign is the caller's to choose, anything else as for durations.
    negative = isinstance(value, int | float) and not isinstance(value, bool) and value < 0
    return -read_seconds(-value) if negative else read_seconds(value)  # type: ignore[operator]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig(Settings):
    """The account, the document's open questions, and the speed of things. Names ending in `_s` are seconds."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    # The account.
    templates: Mapping[str, Template] = setting(mapping_reader(_template, called="templates by id"), default=TEMPLATES)
    show_number: str = setting(read_text, default="12345678")
    """The number that called parties see, unless the request names one."""
    number_pattern: str = setting(_pattern, default=r"\+?[0-9]{5,20}")
    """Numbers that can be called; any other is an IllegalNumber. The document gives no form."""
    concurrency_limit: int | None = setting(optional_reader(read_whole_number), default=None)
    """Calls under way at which the next is a QueueFull; None is no end."""
    ringing_s: float = setting(read_seconds, default=3.0)
    """How long a call is under way."""

    # Time.
    clock_offset_s: float = setting(_offset, default=0.0)
    """Added to the clock: moves signatures, tokens and calls under way forwards or backwards."""

    # clientToken.
    tokens: Literal["honoured", "ignored"] = choice("honoured", "ignored")
    """Whether VMS does what the document says in general of creating interfaces."""
    token_keeps_refusals: bool = setting(read_switch, default=False)
    """Whether a refusal, too, is the result that a token repeats. The document is silent; False lets a token that
    brought no call be used again, with any request."""

    # The form of an answer.
    empty_date_create: bool = setting(read_switch, default=False)
    space_before_request_id: bool = setting(read_switch, default=False)
    """Whether error bodies have the space that the document's sample has."""
    keep_alive_s: float = setting(read_seconds, default=15.0)
    slow_answer_s: float = setting(read_seconds, default=2.0)
    hold_open_s: float = setting(read_seconds, default=30.0)
    """How long an accepted request that is never answered stays open before the connection is closed."""

    # Callbacks: that there is one, the document only hints at. All of it is made up.
    callback_url: str | None = address(read_web_address)
    callback_method: Literal["POST", "GET"] = choice("POST", "GET")
    callback_form: Literal["json", "form"] = choice("json", "form")
    callback_fields: Mapping[str, str] = setting(_texts_by(*FACTS), default=_FIELDS)
    """The name of each field by what it tells, one of FACTS."""
    callback_results: Mapping[str, str] = setting(_texts_by(ANSWERED, UNANSWERED), default=_RESULTS)
    """The value by how the call ended."""
    callback_timeout_s: float = setting(read_seconds, default=15.0)

    def shown(self) -> dict[str, object]:
        """Return every setting as JSON can carry it, without the keys."""
        templates = {
            name: {"text": template.text, "approved": template.error is None}
            for name, template in self.templates.items()
        }
        return {**Settings.shown(self), "templates": templates}

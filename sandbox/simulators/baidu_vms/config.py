"""Holds the settings of the simulated account and provider that a test or an operator may choose."""

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
"""The facts that a callback can report."""

_FIELDS: Final = MappingProxyType({"call_id": "callId", "tag": "userDefinedTag", "result": "result"})
_RESULTS: Final = MappingProxyType({ANSWERED: "answered", UNANSWERED: "unanswered"})


def _read_template(value: object) -> Template:
    if not isinstance(value, dict):
        raise WrongJsonError("a template must be an object with its text")
    approved = read_switch(value.get("approved", True))
    return Template(read_text(value.get("text")), None if approved else TEMPLATE_NOT_VERIFIED)


def _texts_reader(*names: str) -> Callable[[object], Mapping[str, str]]:
    return mapping_reader(read_text, called=f"texts by {', '.join(names)}", names=names)


def _read_pattern(value: object) -> str:
    try:
        re.compile(read_text(value))
    except re.error as problem:
        raise WrongJsonError("must be a regular expression") from problem
    return read_text(value)


def _read_offset(value: object) -> float:
    # A number as for durations, but with either sign.
    is_negative = isinstance(value, int | float) and not isinstance(value, bool) and value < 0
    return -read_seconds(-value) if is_negative else read_seconds(value)  # type: ignore[operator]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig(Settings):
    """The account, the document's open questions, and the speed of the simulator.

    Names ending in `_s` are seconds.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    # The account.
    templates: Mapping[str, Template] = setting(
        mapping_reader(_read_template, called="templates by id"), default=TEMPLATES
    )
    show_number: str = setting(read_text, default="12345678")
    """The number that called parties see if the request names none."""
    number_pattern: str = setting(_read_pattern, default=r"\+?[0-9]{5,20}")
    """The form of numbers that can be called; any other is an IllegalNumber. The document gives no form."""
    concurrency_limit: int | None = setting(optional_reader(read_whole_number), default=None)
    """The number of calls under way at which the next request gets QueueFull; None is no limit."""
    ringing_s: float = setting(read_seconds, default=3.0)
    """The time for which a call is under way."""

    # Time.
    clock_offset_s: float = setting(_read_offset, default=0.0)
    """Seconds added to the clock, which decides signatures, tokens and calls under way. May be negative."""

    # clientToken.
    tokens: Literal["honoured", "ignored"] = choice("honoured", "ignored")
    """With "honoured" VMS does what the document says in general of interfaces that create something."""
    token_keeps_refusals: bool = setting(read_switch, default=False)
    """With True a token repeats a refusal too.

    The document is silent. With False any request may use a token again if no call was placed with it.
    """

    # The form of an answer.
    empty_date_create: bool = setting(read_switch, default=False)
    space_before_request_id: bool = setting(read_switch, default=False)
    """With True error bodies have the space that the document's sample has."""
    keep_alive_s: float = setting(read_seconds, default=15.0)
    slow_answer_s: float = setting(read_seconds, default=2.0)
    hold_open_s: float = setting(read_seconds, default=30.0)
    """The time until the connection of an accepted request that is never answered is closed."""

    # Callbacks. The document only hints that there is one: all of this is made up.
    callback_url: str | None = address(read_web_address)
    callback_method: Literal["POST", "GET"] = choice("POST", "GET")
    callback_form: Literal["json", "form"] = choice("json", "form")
    callback_fields: Mapping[str, str] = setting(_texts_reader(*FACTS), default=_FIELDS)
    """The name of each field by the fact that it reports, one of FACTS."""
    callback_results: Mapping[str, str] = setting(_texts_reader(ANSWERED, UNANSWERED), default=_RESULTS)
    """The value of the result by the end of the call."""
    callback_timeout_s: float = setting(read_seconds, default=15.0)

    def to_json(self) -> dict[str, object]:
        """Return every setting as JSON can carry it, without the keys."""
        templates = {
            name: {"text": template.text, "approved": template.error is None}
            for name, template in self.templates.items()
        }
        return {**Settings.to_json(self), "templates": templates}

"""Holds the settings of the simulated contract and system that a test or an operator may choose."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeVar

from sandbox.simulators.json_readers import (
    WrongJsonError,
    choice_reader,
    mapping_reader,
    optional_reader,
    read_seconds,
    read_switch,
    read_text,
    read_whole_number,
)
from sandbox.simulators.settings import Settings, address, choice, setting

_PATTERN_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "u": re.NOFLAG}
_CLOSING: Final = {"(": ")", "[": "]", "{": "}", "<": ">"}

S = TypeVar("S", bound=int)


def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """Return the regular expression of a pattern with delimiters and flags, or None for an empty pattern.

    Raises:
        WrongJsonError: when the pattern has no delimiters or an unknown flag, or is no regular expression.
    """
    if not pattern:
        return None
    opening = pattern[0]
    end = pattern.rfind(_CLOSING.get(opening, opening))
    if opening.isalnum() or opening in {"\\", " "} or end < 1:
        raise WrongJsonError("needs delimiters, such as /error/")
    flags = re.NOFLAG
    for letter in pattern[end + 1 :]:
        if letter not in _PATTERN_FLAGS:
            raise WrongJsonError(f"no such flag: {letter}")
        flags |= _PATTERN_FLAGS[letter]
    try:
        return re.compile(pattern[1:end], flags)
    except re.error as problem:
        raise WrongJsonError(f"is no expression: {problem.msg}") from problem


def _read_pattern(value: object) -> str:
    compile_pattern(read_text(value))
    return read_text(value)


def _read_address(value: object) -> str:
    if not re.fullmatch(r"https?://[^/\s]+[^\s]*", read_text(value)):
        raise WrongJsonError("must be an http or https address")
    return read_text(value)


def _status_choice(default: S, *allowed: S) -> S:
    read_choice = choice_reader(*allowed)
    return setting(lambda value: read_choice(read_whole_number(value)), default=default)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig(Settings):
    """The contract, the document's open questions, and the call action's form.

    Names ending in `_s` are seconds.
    """

    token: str = field(repr=False)

    # The contract and the account's rights (3.7, 3.9).
    api_licence: bool = setting(read_switch, default=True)
    api_enabled: bool = setting(read_switch, default=True)
    recording_licence: bool = setting(read_switch, default=True)
    split_licence: bool = setting(read_switch, default=True)
    """音声ファイル分離. With False left and right are refused."""
    downloads_allowed: bool = setting(read_switch, default=True)
    """The opposite of スーパバイザ以下の録音ファイルのダウンロード禁止."""

    # The rate limit: ten requests a second from version 3.6.0, one before.
    requests_per_second: int = setting(read_whole_number, default=10)
    window: Literal["sliding", "fixed"] = choice("sliding", "fixed")
    refusals_count: bool = setting(read_switch, default=False)
    """True counts refused requests in the rate limit too. The document is silent; False counts the others only."""
    retry_after_s: int | None = setting(optional_reader(read_whole_number), default=None)
    """The Retry-After of a 429. None sends none, as in the document."""

    # The month: every request is consumed.
    requests_per_month: int = setting(read_whole_number, default=100_000)
    refusals_consume: bool = setting(read_switch, default=True)
    """True consumes a request that the rate limit refuses too: taken literally, the document consumes every one."""
    month_used_up_status: Literal[403, 429] = _status_choice(429, 403, 429)
    """The document does not give it."""

    # The form of an answer.
    validate_error_status: Literal[400, 422] = _status_choice(422, 400, 422)
    """The document does not give it."""
    error_details: bool = setting(read_switch, default=False)
    """True fills `exception_id` and `messages`, which are null in the document's example."""
    disposition: Literal["unquoted", "quoted", "extended", "none"] = choice("unquoted", "quoted", "extended", "none")
    """The form of the file name in Content-Disposition. The document only says that there is one."""
    audio_type: str = setting(read_text, default="audio/mpeg")
    id3_tags: bool = setting(read_switch, default=True)
    """True begins files with a tag that names call and channel, so that no two files are the same."""
    keep_alive_s: float = setting(read_seconds, default=15.0)
    hold_open_s: float = setting(read_seconds, default=30.0)

    # Files.
    file_delay_s: float = setting(read_seconds, default=0.0)
    """The time from the end of a call until its files appear. Until then a download gets 404."""
    split_days: int = setting(read_whole_number, default=7)
    """The days for which left and right are kept (section 4). Monaural stays."""

    # The call action (2.1): the document's form, row by row.
    action_url: str | None = address(_read_address)
    """The address, with {ID}, {TEL} and {DATE}. Without any of them all three go where `action_place` says."""
    action_method: Literal["GET", "POST"] = choice("GET", "POST")
    action_place: Literal["query", "form", "json"] = choice("query", "form", "json")
    action_json_values: Literal["plain", "encoded"] = choice("plain", "encoded")
    """The form of values inside a JSON body. The document shows URL-encoding in an address only."""
    action_headers: Mapping[str, str] = setting(
        mapping_reader(read_text, called="headers by name"), default=MappingProxyType({}), repr=False
    )
    action_timeout_s: float = setting(read_seconds, default=10.0)
    action_error_pattern: str = setting(_read_pattern, default="")
    """A pattern with delimiters, such as /"result":"error"/. An answer that contains it is an error."""
    action_status_is_error: bool = setting(read_switch, default=True)
    """True takes every answer that is not 2xx for an error. The document does not say."""
    action_retries: int = setting(read_whole_number, default=0)
    action_retry_after_s: float = setting(read_seconds, default=1.0)
    action_copies: int = setting(read_whole_number, default=1)
    """The number of call actions for one call."""

"""Everything about the simulated contract and system that a test or a person may choose."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Final, Literal

from sandbox.simulators.readers import WrongJsonError, one_of, optional, seconds, switch, text, whole

_PATTERN_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "u": re.NOFLAG}
_CLOSING: Final = {"(": ")", "[": "]", "{": "}", "<": ">"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """The contract, the document's open questions, and the call action's form. Names ending in `_s` are seconds."""

    token: str = field(repr=False)

    # The contract and the account's rights (3.7, 3.9).
    api_licence: bool = True
    api_enabled: bool = True
    recording_licence: bool = True
    split_licence: bool = True
    """音声ファイル分離: without it left and right are refused."""
    downloads_allowed: bool = True
    """スーパバイザ以下の録音ファイルのダウンロード禁止, turned round."""

    # The burst limit: ten a second from version 3.6.0, one before.
    requests_per_second: int = 10
    window: Literal["sliding", "fixed"] = "sliding"
    refusals_count: bool = False
    """Whether refused requests use up the second too. The document is silent; False counts those let in."""
    retry_after_s: int | None = None
    """The Retry-After of a 429; None leaves it out, as the document does."""

    # The month: one request, one consumed.
    requests_per_month: int = 100_000
    refusals_consume: bool = True
    """Whether a request refused for its burst is consumed too: literally, every request is."""
    month_used_up_status: Literal[403, 429] = 429
    """Not documented."""

    # The form of an answer.
    validate_error_status: Literal[400, 422] = 422
    """Not documented."""
    error_details: bool = False
    """Whether `exception_id` and `messages`, null in the document's example, are filled."""
    disposition: Literal["unquoted", "quoted", "extended", "none"] = "unquoted"
    """The form of the file name in Content-Disposition; the document only says that it is there."""
    audio_type: str = "audio/mpeg"
    id3_tags: bool = True
    """Whether files begin with a tag that names call and channel, so that no two are the same."""
    keep_alive_s: float = 15.0
    hold_open_s: float = 30.0

    # Files.
    file_delay_s: float = 0.0
    """From the end of a call until its files are there; 404 until then."""
    split_days: int = 7
    """How long left and right are kept (section 4). Monaural stays."""

    # The call action (2.1): the document's form, row by row.
    action_url: str | None = field(default=None, repr=False)
    """With {ID}, {TEL} and {DATE} where they belong; one without any gets all three as `action_place` says."""
    action_method: Literal["GET", "POST"] = "GET"
    action_place: Literal["query", "form", "json"] = "query"
    action_json_values: Literal["plain", "encoded"] = "plain"
    """Whether values are URL-encoded inside a JSON body too. The document shows an address only."""
    action_headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    action_timeout_s: float = 10.0
    action_error_pattern: str = ""
    """A pattern with delimiters, such as /"result":"error"/; an answer that contains it is an error."""
    action_status_is_error: bool = True
    """Whether an answer that is not 2xx is an error by itself. Not documented."""
    action_retries: int = 0
    action_retry_after_s: float = 1.0
    action_copies: int = 1
    """How often one event is told."""

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
        return replace(self, **values)  # type: ignore[arg-type]  # each reader returns its field's type

    def shown(self) -> dict[str, object]:
        """Return every setting as JSON can carry it, without the token."""
        shown: dict[str, object] = {f.name: getattr(self, f.name) for f in fields(self)}
        del shown["token"]
        shown["action_headers"] = dict(self.action_headers)
        return shown


def compiled(pattern: str) -> re.Pattern[str] | None:
    """Return the expression of a pattern with delimiters and flags, None for an empty one.

    Raises WrongJsonError when it has no delimiters, an unknown flag, or is no expression.
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


def _pattern(value: object) -> str:
    compiled(text(value))
    return text(value)


def _address(value: object) -> str:
    if not re.fullmatch(r"https?://[^/\s]+[^\s]*", text(value)):
        raise WrongJsonError("must be an http or https address")
    return text(value)


def _headers(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise WrongJsonError("must be an object of headers by name")
    return MappingProxyType({text(name): text(content) for name, content in value.items()})


def _one_of(*allowed: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if whole(value) not in allowed:
            raise WrongJsonError(f"must be one of {', '.join(map(str, allowed))}")
        return whole(value)

    return read


_READERS: Final[dict[str, Callable[[object], object]]] = {
    "api_licence": switch,
    "api_enabled": switch,
    "recording_licence": switch,
    "split_licence": switch,
    "downloads_allowed": switch,
    "requests_per_second": whole,
    "window": one_of("sliding", "fixed"),
    "refusals_count": switch,
    "retry_after_s": optional(whole),
    "requests_per_month": whole,
    "refusals_consume": switch,
    "month_used_up_status": _one_of(403, 429),
    "validate_error_status": _one_of(400, 422),
    "error_details": switch,
    "disposition": one_of("unquoted", "quoted", "extended", "none"),
    "audio_type": text,
    "id3_tags": switch,
    "keep_alive_s": seconds,
    "hold_open_s": seconds,
    "file_delay_s": seconds,
    "split_days": whole,
    "action_url": optional(_address),
    "action_method": one_of("GET", "POST"),
    "action_place": one_of("query", "form", "json"),
    "action_json_values": one_of("plain", "encoded"),
    "action_headers": _headers,
    "action_timeout_s": seconds,
    "action_error_pattern": _pattern,
    "action_status_is_error": switch,
    "action_retries": whole,
    "action_retry_after_s": seconds,
    "action_copies": whole,
}

"""Holds recorded calls: their ids (2.1, section 4 of the document), the names of their files, their call actions."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from sandbox.simulators.biztel.audio import dialogue_seconds
from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.faults import Fault, read_fault
from sandbox.simulators.biztel.wall_clock import japan_time, read_moment
from sandbox.simulators.json_readers import (
    list_reader,
    optional_reader,
    read_seconds,
    read_switch,
    read_text,
    read_whole_number,
)
from sandbox.simulators.settings import choice, read_values, setting

_PRINTABLE_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")
# Twenty digits, or ten, a point and more digits. Nothing shorter, which might be a telephone number.
_CERTAIN_ID: Final = re.compile(r"\d{20}|\d{10}\.\d+")


class IdForm(StrEnum):
    """The key of a recording, which is a system setting."""

    REQUEST = "request"
    """リクエストID: twenty digits, the first six the date of the call."""
    UNIQUE = "unique"
    """ユニークID: the second in which the call began, a point, a number."""


def _read_channels(value: object) -> tuple[Channel, ...]:
    return tuple(Channel(name) for name in list_reader(read_text)(value))


def _read_faults(value: object) -> tuple[Fault, ...]:
    return tuple(list_reader(read_fault)(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpec:
    """The description of a call that ends now, or at `date`."""

    tel: str | None = setting(optional_reader(read_text), default=None, repr=False)
    """The other party: digits, masked, `anonymous` or empty. None makes one up."""
    date: float | None = setting(optional_reader(read_moment), default=None)
    """The end of the call, in seconds since 1970."""
    id_form: IdForm = setting(lambda value: IdForm(read_text(value)), default=IdForm.REQUEST)  # noqa: RUF009  # a field
    call_id: str | None = setting(optional_reader(read_text), default=None)
    """An id of the caller's choice, in any form."""
    seconds: float = setting(read_seconds, default=6.0)
    bytes: int | None = setting(optional_reader(read_whole_number), default=None)
    """The size of each file. With None `seconds` decides."""
    dialogue: bool = setting(read_switch, default=False)
    """True records the dialogue of two people, whatever `seconds` and `bytes` are."""
    extension: str = setting(read_text, default="2001")
    direction: Literal["in", "out"] = choice("in", "out")
    channels: tuple[Channel, ...] = setting(_read_channels, default=tuple(Channel))
    """The files of the call."""
    file_delay_s: float | None = setting(optional_reader(read_seconds), default=None)
    """The time from the end until the files appear. With None the setting of the same name decides."""
    announce: bool = setting(read_switch, default=True)
    """True fires the call action."""
    faults: tuple[Fault, ...] = setting(_read_faults, default=())


@dataclass(slots=True, kw_only=True)
class CallActionAttempt:
    """One attempt of a call action, and the HTTP status of its answer (None: no answer)."""

    attempt: int
    method: str
    at: str
    answer: int | None = None
    problem: str | None = None
    is_error: bool = True


@dataclass(slots=True, kw_only=True)
class RecordedCall:
    """One recorded call."""

    call_id: str
    tel: str = field(repr=False)
    started_at: float
    ended_at: float
    ready_at: float
    spec: CallSpec
    actions: list[CallActionAttempt] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    """The number of downloads by channel that passed the checks of token, limits and contract."""

    @property
    def processed(self) -> str:
        """The call action's {DATE}, 処理時刻."""
        return japan_time(self.ended_at).strftime("%Y-%m-%d %H:%M:%S")


def create_call(spec: CallSpec, *, sequence: int, now: float, file_delay_s: float) -> RecordedCall:
    """Return the call that `spec` describes, the `sequence`th of all, at the wall clock's `now`."""
    ended_at = now if spec.date is None else spec.date
    started_at = ended_at - (dialogue_seconds() if spec.dialogue else spec.seconds)
    if spec.call_id is not None:
        call_id = spec.call_id
    elif spec.id_form is IdForm.UNIQUE:
        call_id = f"{int(started_at)}.{sequence}"
    else:
        call_id = f"{japan_time(started_at):%y%m%d}{sequence:08d}000050"
    delay_s = file_delay_s if spec.file_delay_s is None else spec.file_delay_s
    return RecordedCall(
        call_id=call_id,
        tel=f"0900000{sequence % 10_000:04d}" if spec.tel is None else spec.tel,
        started_at=started_at,
        ended_at=ended_at,
        ready_at=ended_at + delay_s,
        spec=spec,
    )


_SUFFIX: Final[Mapping[Channel, str]] = {Channel.LEFT: "_l", Channel.RIGHT: "_r", Channel.MONAURAL: ""}


def file_name(call: RecordedCall, channel: Channel) -> str:
    """Return the name of a file by the rule of section 4.

    The document shows DST for an outgoing call and SRC for an internal one. SRC for an incoming call and a monaural
    name without a letter are derived from that.
    """
    party = call.tel or "anonymous"
    numbers = (party, call.spec.extension) if call.spec.direction == "in" else (call.spec.extension, party)
    side = "SRC" if call.spec.direction == "in" else "DST"
    start = japan_time(call.started_at).strftime("%Y%m%d%H%M%S")
    return "-".join([start, *numbers, call.call_id, side]) + f"{_SUFFIX[channel]}.mp3"


def read_spec(values: Mapping[str, object]) -> CallSpec:
    """Return the description of a call in decoded JSON, whose members are named like those of CallSpec.

    Raises:
        ValueError: when `values` are no such description. Its text says what is wrong.
    """
    return CallSpec(**read_values(CallSpec, values, called="field"))


def printable_id(call_id: str) -> str:
    """Return an id in a form that a log may show: never a text that may be a number or a customer's words."""
    if _CERTAIN_ID.fullmatch(call_id):
        return call_id
    return f"id of {len(call_id)} characters" if _PRINTABLE_ID.fullmatch(call_id) else "-"

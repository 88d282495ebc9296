"""Calls that were recorded: their ids (2.1, section 4 of the document), their files' names, and what came of them."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.faults import Fault, fault_from_json
from sandbox.simulators.biztel.wall_clock import in_japan, moment
from sandbox.simulators.json_readers import list_reader, optional_reader, read_switch, read_text, read_whole_number
from sandbox.simulators.json_readers import read_seconds as duration
from sandbox.simulators.settings import choice, setting, values_of

_PRINTABLE_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")
# Twenty digits, or ten, a point and some more: nothing shorter, which might be a telephone number.
_SURELY_AN_ID: Final = re.compile(r"\d{20}|\d{10}\.\d+")


class IdForm(StrEnum):
    """What the system setting makes the key of a recording."""

    REQUEST = "request"
    """リクエストID: twenty digits, the first six the date of the call."""
    UNIQUE = "unique"
    """ユニークID: the second the call began, a point, a number."""


def _channels(value: object) -> tuple[Channel, ...]:
    return tuple(Channel(name) for name in list_reader(read_text)(value))


def _faults(value: object) -> tuple[Fault, ...]:
    return tuple(list_reader(fault_from_json)(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpec:
    """What is asked of a call that ends now, or at `date`."""

    tel: str | None = setting(optional_reader(read_text), default=None, repr=False)
    """The other party: digits, masked, `anonymous` or empty; None makes one up."""
    date: float | None = setting(optional_reader(moment), default=None)
    """When it ended, in seconds since 1970."""
    id_form: IdForm = setting(lambda value: IdForm(read_text(value)), default=IdForm.REQUEST)  # noqa: RUF009  # a field
    call_id: str | None = setting(optional_reader(read_text), default=None)
    """An id of the caller's own, however strange."""
    seconds: float = setting(duration, default=6.0)
    bytes: int | None = setting(optional_reader(read_whole_number), default=None)
    """The size of each file; None lets `seconds` decide."""
    extension: str = setting(read_text, default="2001")
    direction: Literal["in", "out"] = choice("in", "out")
    channels: tuple[Channel, ...] = setting(_channels, default=tuple(Channel))
    """The files there will be."""
    file_delay_s: float | None = setting(optional_reader(duration), default=None)
    """After the end until the files appear; None leaves it to the setting of the same name."""
    announce: bool = setting(read_switch, default=True)
    """Whether the call action fires."""
    faults: tuple[Fault, ...] = setting(_faults, default=())


@dataclass(slots=True, kw_only=True)
class CallActionAttempt:
    """One try to tell the customer, and what it was answered with (None: nothing)."""

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
    """Tries of downloads that were let in, by channel."""

    @property
    def processed(self) -> str:
        """Return {DATE}, 処理時刻, as the call action says it."""
        return in_japan(self.ended_at).strftime("%Y-%m-%d %H:%M:%S")


def new_call(spec: CallSpec, *, sequence: int, now: float, file_delay_s: float) -> RecordedCall:
    """Return the call that `spec` asks for, the `sequence`th of all, at the wall clock's `now`."""
    ended_at = now if spec.date is None else spec.date
    started_at = ended_at - spec.seconds
    if spec.call_id is not None:
        call_id = spec.call_id
    elif spec.id_form is IdForm.UNIQUE:
        call_id = f"{int(started_at)}.{sequence}"
    else:
        call_id = f"{in_japan(started_at):%y%m%d}{sequence:08d}000050"
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
    """Return the name by section 4's rule.

    The document shows DST for a call going out and SRC for one inside; SRC for one coming in and a monaural name
    without letter are taken from that.
    """
    party = call.tel or "anonymous"
    numbers = (party, call.spec.extension) if call.spec.direction == "in" else (call.spec.extension, party)
    side = "SRC" if call.spec.direction == "in" else "DST"
    began = in_japan(call.started_at).strftime("%Y%m%d%H%M%S")
    return "-".join([began, *numbers, call.call_id, side]) + f"{_SUFFIX[channel]}.mp3"


def spec_from_json(asked: Mapping[str, object]) -> CallSpec:
    """Read a call from decoded JSON; field names are those of CallSpec. Raises ValueError saying what is wrong."""
    return CallSpec(**values_of(CallSpec, asked, called="field"))


def printable_id(call_id: str) -> str:
    """Return an id as a log may have it: nothing that could be a number or somebody's text in its place."""
    if _SURELY_AN_ID.fullmatch(call_id):
        return call_id
    return f"id of {len(call_id)} characters" if _PRINTABLE_ID.fullmatch(call_id) else "-"

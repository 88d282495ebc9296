"""Holds the scripted telephone numbers, which always end in the same way, and the script of every other number."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sandbox.simulators.json_readers import (
    WrongJsonError,
    list_reader,
    optional_reader,
    read_seconds,
    read_text,
    read_whole_number,
)
from sandbox.simulators.mediasms import document_tables

UNLISTED_STATUS: Final = 99


class Behaviour(StrEnum):
    """The treatment of an acceptable request and its answer."""

    ANSWER = "answer"
    RESET_BEFORE = "reset_before"
    """Nothing is accepted; the connection is reset."""
    NEVER_ANSWER = "never_answer"
    """Accepted; the connection stays open for `hold_open_s`, then closes without an answer."""
    SLOW = "slow"
    """Accepted at once, answered after `slow_answer_s`."""
    REPORT_FIRST = "report_first"
    """Accepted; the answer waits until the first report was answered, at most `early_report_wait_s`."""
    CALL_FIRST = "call_first"
    """Accepted; the phone dials its line at once.

    The answer waits until the IVR callback was answered, at most `early_report_wait_s`.
    """


class CallEnding(StrEnum):
    """The end of a call to a phone (method 5)."""

    ANSWERED = "answered"
    """The phone's owner listens to the number that is read out."""
    NOT_ANSWERED = "not_answered"
    HUNG_UP = "hung_up"
    """The phone's owner answers, and hangs up before the number is read out."""


@dataclass(frozen=True, slots=True)
class PickUp:
    """The reaction of the phone's owner to one call, and the number of rings before it."""

    ending: CallEnding
    after_rings: int = 2


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a message's delivery status. Times are seconds after acceptance."""

    status: int
    after_s: float
    pushed_after_s: tuple[float, ...] | None = None
    """The times of its reports: several for duplicates, late ones for reordering; None for one at once."""

    @property
    def push_times(self) -> tuple[float, ...]:
        """The times at which reports are due; none for a status that is never pushed."""
        if self.status in document_tables.NEVER_PUSHED:
            return ()
        return (self.after_s,) if self.pushed_after_s is None else self.pushed_after_s


@dataclass(frozen=True, slots=True)
class NumberScript:
    """The script of every message to one number."""

    meaning: str
    transitions: tuple[Transition, ...]
    behaviour: Behaviour = Behaviour.ANSWER
    calls: tuple[PickUp, ...] = (PickUp(CallEnding.ANSWERED),)
    """The reactions to the first call, the second …. The last one is the reaction to every further call."""
    ivr_pushed_after_s: tuple[float, ...] = (0.0,)
    """The times of the IVR callbacks after the successful call: several for duplicates, or late ones."""


def _create_transitions(*pushed: Transition) -> tuple[Transition, ...]:
    """Return the two transitions with which every message begins, which are never pushed, and then `pushed`."""
    return (Transition(document_tables.NOT_PROCESSED, 0.0), Transition(document_tables.SENDING, 0.0), *pushed)


_IN_PROGRESS: Final = Transition(document_tables.PROCESSING, 0.1)
_DELIVERED_SOON: Final = _create_transitions(_IN_PROGRESS, Transition(document_tables.DELIVERED, 0.3))

EVERY_OTHER_NUMBER: Final = NumberScript("in progress (14), then delivered (1)", _DELIVERED_SOON)

NUMBERS: Final[Mapping[str, NumberScript]] = {
    "09000000001": NumberScript("delivered at once: 14, then 1", _DELIVERED_SOON),
    "09000000002": NumberScript(
        "out of range, then delivered: 14, 18, then 1",
        _create_transitions(
            _IN_PROGRESS,
            Transition(document_tables.DOCOMO_OUT_OF_RANGE, 0.3),
            Transition(document_tables.DELIVERED, 2.0),
        ),
    ),
    "09000000003": NumberScript(
        "failed: 14, then 0", _create_transitions(_IN_PROGRESS, Transition(document_tables.FAILED, 0.3))
    ),
    "09000000004": NumberScript(
        "invalid (33): accepted, then silence", _create_transitions(Transition(document_tables.INVALID, 0.1))
    ),
    "09000000005": NumberScript(
        "time-out after acceptance: never answered, delivered all the same after ten seconds",
        _create_transitions(Transition(document_tables.PROCESSING, 10.0), Transition(document_tables.DELIVERED, 10.5)),
        Behaviour.NEVER_ANSWER,
    ),
    "09000000006": NumberScript("connection reset before acceptance: nothing is sent", (), Behaviour.RESET_BEFORE),
    "09000000007": NumberScript("slow: accepted, answered after two seconds", _DELIVERED_SOON, Behaviour.SLOW),
    "09000000008": NumberScript(
        "reports twice and out of order: 1, 18, 14, 1, 14, 18",
        _create_transitions(
            Transition(document_tables.PROCESSING, 0.1, (0.5, 0.7)),
            Transition(document_tables.DOCOMO_OUT_OF_RANGE, 0.2, (0.4, 0.8)),
            Transition(document_tables.DELIVERED, 0.3, (0.3, 0.6)),
        ),
    ),
    "09000000009": NumberScript(
        f"an unlisted status ({UNLISTED_STATUS}), then delivered: 14, {UNLISTED_STATUS}, then 1",
        _create_transitions(_IN_PROGRESS, Transition(UNLISTED_STATUS, 0.3), Transition(document_tables.DELIVERED, 0.6)),
    ),
    "09000000010": NumberScript(
        "the first report arrives before the answer: 14, the answer, then 1",
        _create_transitions(Transition(document_tables.PROCESSING, 0.0), Transition(document_tables.DELIVERED, 1.0)),
        Behaviour.REPORT_FIRST,
    ),
    "09000000011": NumberScript(
        "as every other; a successful call is reported twice", _DELIVERED_SOON, ivr_pushed_after_s=(0.0, 0.5)
    ),
    "09000000012": NumberScript(
        "as every other; a successful call is reported ten seconds late", _DELIVERED_SOON, ivr_pushed_after_s=(10.0,)
    ),
    "09000000013": NumberScript(
        "dials its line by itself at once: the IVR callback, then the answer", _DELIVERED_SOON, Behaviour.CALL_FIRST
    ),
    "09000000014": NumberScript(
        "as every other; never answers a call", _DELIVERED_SOON, calls=(PickUp(CallEnding.NOT_ANSWERED, 5),)
    ),
    "09000000015": NumberScript(
        "as every other; answers a call and hangs up", _DELIVERED_SOON, calls=(PickUp(CallEnding.HUNG_UP),)
    ),
    "09000000016": NumberScript(
        "as every other; answers the third call only",
        _DELIVERED_SOON,
        calls=(
            PickUp(CallEnding.NOT_ANSWERED, 5),
            PickUp(CallEnding.NOT_ANSWERED, 5),
            PickUp(CallEnding.ANSWERED),
        ),
    ),
    "09000000017": NumberScript(
        "out of range for good: 14, then 18",
        _create_transitions(_IN_PROGRESS, Transition(document_tables.DOCOMO_OUT_OF_RANGE, 0.3)),
    ),
}


def read_script(value: Mapping[str, object]) -> NumberScript:
    """Return the script in decoded JSON.

    Its form is `{"meaning"?, "behaviour"?, "transitions": [{"status", "after_s"?, "pushed_after_s"?}],
    "calls"?: [{"ending", "after_rings"?}], "ivr_pushed_after_s"?: [seconds, …]}`.

    Raises:
        ValueError: when `value` has another form.
    """
    transitions = value.get("transitions", [])
    if not isinstance(transitions, list):
        raise WrongJsonError("transitions must be a list")
    return NumberScript(
        meaning=read_text(value.get("meaning", "scripted")),
        behaviour=Behaviour(read_text(value.get("behaviour", "answer"))),
        transitions=tuple(_read_transition(item) for item in transitions),
        calls=tuple(list_reader(_read_pick_up)(value.get("calls", []))) or EVERY_OTHER_NUMBER.calls,
        ivr_pushed_after_s=tuple(list_reader(read_seconds)(value.get("ivr_pushed_after_s", [0.0]))),
    )


def script_to_json(script: NumberScript) -> dict[str, object]:
    """Return `script` in the form that `read_script` reads, with every time spelt out."""
    return {
        "meaning": script.meaning,
        "behaviour": str(script.behaviour),
        "transitions": [
            {
                "status": transition.status,
                "after_s": transition.after_s,
                "pushed_after_s": list(transition.push_times),
            }
            for transition in script.transitions
        ],
        "calls": [{"ending": str(pick_up.ending), "after_rings": pick_up.after_rings} for pick_up in script.calls],
        "ivr_pushed_after_s": list(script.ivr_pushed_after_s),
    }


def _read_transition(value: object) -> Transition:
    if not isinstance(value, dict):
        raise WrongJsonError("a transition must be an object")
    pushed = optional_reader(list_reader(read_seconds))(value.get("pushed_after_s"))
    return Transition(
        status=read_whole_number(value.get("status")),
        after_s=read_seconds(value.get("after_s", 0.0)),
        pushed_after_s=None if pushed is None else tuple(pushed),
    )


def _read_pick_up(value: object) -> PickUp:
    if not isinstance(value, dict):
        raise WrongJsonError("a call must be an object")
    return PickUp(
        ending=CallEnding(read_text(value.get("ending"))), after_rings=read_whole_number(value.get("after_rings", 2))
    )

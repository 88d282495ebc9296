"""Holds what the simulator remembers: the requests it received, the calls it placed, the callbacks it sent."""

from dataclasses import dataclass, field

from sandbox.simulators.outcomes import Outcome


@dataclass(slots=True, kw_only=True)
class Callback:
    """One callback that was sent, and the HTTP status of the answer (None: no answer)."""

    at_s: float
    fields: dict[str, str]
    answer: int | None = None
    problem: str | None = None


@dataclass(slots=True, kw_only=True)
class VoiceCall:
    """One call that was placed. Times ending in `_s` are Unix seconds by the simulator's clock."""

    sequence: int
    call_id: str
    at_s: float
    ends_at_s: float
    number: str
    show_number: str
    template_id: str
    variables: str
    heard: str
    """The text that the called party hears, as often as `play_times` says."""
    play_times: int
    volume: int
    tag: str
    client_token: str | None
    result: str
    callbacks: list[Callback] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, frozen=True)
class RequestRecord:
    """One request to the API and its outcome."""

    at_s: float
    method: str
    path: str
    http_status: int | None
    """None if no answer was decided."""
    code: str | None
    """The error's code; None if the answer is no error."""
    outcome: Outcome
    cause: str
    number: str
    client_token: str | None
    call_id: str | None
    """The call that this request placed, or whose answer it got again."""
    placed: bool
    """True if this very request placed the call."""

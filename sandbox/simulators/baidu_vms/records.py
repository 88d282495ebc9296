"""What the simulator remembers: every request it saw, every call it placed, every callback it sent."""

from dataclasses import dataclass, field

from sandbox.simulators.outcomes import Outcome


@dataclass(slots=True, kw_only=True)
class Callback:
    """One callback as it was sent, and the HTTP status it was answered with (None: no answer)."""

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
    """What the called party hears, once each of `play_times`."""
    play_times: int
    volume: int
    tag: str
    client_token: str | None
    result: str
    callbacks: list[Callback] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, frozen=True)
class RequestRecord:
    """One request to the API and what became of it."""

    at_s: float
    method: str
    path: str
    http_status: int | None
    """None when no answer was decided."""
    code: str | None
    """The error's code; None where there is none."""
    outcome: Outcome
    cause: str
    number: str
    client_token: str | None
    call_id: str | None
    """The call that this request brought about, or whose answer was repeated."""
    placed: bool
    """Whether this very request made somebody's telephone ring."""

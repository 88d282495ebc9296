"""A voice notice: what is to be said to whom, and how it is handed to a provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CallContent:
    """What is asked for. `volume` is the provider's scale; None leaves the choice to the provider."""

    template_id: str
    variables: Mapping[str, str]
    play_times: int | None = None
    volume: int | None = None
    tag: str | None = None
    show_number: str | None = None


@dataclass(frozen=True, slots=True)
class CallSubmission:
    """One call as it is submitted. `token` is our own name for it, up to 64 ASCII characters; `body` is the request
    as it was composed once, so that submitting it again under the same token sends the same bytes. A provider
    forgets a token in time: nothing is sent under it from `not_after` on."""

    token: str
    body: str = field(repr=False)
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a provider tells later about a call, in its own word, which nothing here interprets."""

    call_id: str
    result: str

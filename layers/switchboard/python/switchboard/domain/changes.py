"""Hold what a change event says about a resource (docs/change-events.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from switchboard.domain.timestamps import to_rfc3339

DETAIL_VERSION: Final = 1
"""The version of the events' form."""


class ChangeKind(StrEnum):
    """The kinds of resources whose changes are published. `id_name` is the id's name in the resource's view."""

    id_name: str
    event_name: str

    def __new__(cls, name: str, event_name: str, id_name: str) -> ChangeKind:
        """Make one row of the table."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.event_name = event_name
        kind.id_name = id_name
        return kind

    SMS = "sms", "Sms", "smsid"
    VERIFICATION = "verification", "Verification", "verification_id"
    VOICE_CALL = "voice_call", "VoiceCall", "token"
    RECORDING = "recording", "Recording", "recording_id"
    CIRCUIT = "circuit", "ProviderCircuit", "provider"


class CircuitState(StrEnum):
    """The states of a provider's circuit."""

    OPEN = "open"
    CLOSED = "closed"


CIRCUITS: Final = ("mediasms", "baidu_vms", "biztel")
"""The providers that have a circuit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """The circuit of a provider as it was recorded last: `reason` says why it is open, and is None while it is closed.

    `changes` counts how often it opened or closed.
    """

    provider: str
    reason: str | None
    changes: int
    at: datetime

    @property
    def sequence(self) -> int:
        """The number of visible facts."""
        return self.changes

    @property
    def state(self) -> CircuitState:
        """The state that follows from the reason."""
        return CircuitState.CLOSED if self.reason is None else CircuitState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A resource at the time of its last visible fact, `at`.

    `client` is None if the resource belongs to none. `data` is the view that GET shows, without links that expire.
    With `passing` the resource is under way to the provider: no event tells of it.
    """

    kind: ChangeKind
    id: str
    client: str | None
    sequence: int
    at: datetime
    state: str
    data: Mapping[str, Any]
    passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event: a resource's snapshot, and the sequence before the change, or None if that is not known.

    `key` is the key of the item that changed. `rules_version` names the tables and deadlines by which the view was
    derived: one id always has one view.
    """

    key: str
    snapshot: Snapshot
    previous: int | None
    rules_version: str
    erased: bool = False

    @property
    def id(self) -> str:
        """The event's id."""
        return f"{self.snapshot.kind}_{self.snapshot.id}_{self.snapshot.sequence}_{self.rules_version}"

    @property
    def detail_type(self) -> str:
        """The event's type, such as `SmsChanged`."""
        return f"{self.snapshot.kind.event_name}{'Erased' if self.erased else 'Changed'}"

    @property
    def detail(self) -> dict[str, Any]:
        """The event's content in the form of docs/events/."""
        snapshot = self.snapshot
        return {
            "version": DETAIL_VERSION,
            "id": self.id,
            "sequence": snapshot.sequence,
            "previous": self.previous,
            "at": to_rfc3339(snapshot.at),
            "client": snapshot.client,
            "data": dict(snapshot.data),
        }

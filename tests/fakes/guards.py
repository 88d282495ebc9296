"""Gates that are open, or as closed as they are told to be."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from switchboard.domain.errors import ProviderError, SwitchboardError
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderGuard


class OpenGuard(ProviderGuard):
    """Always a slot, at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.heard_errors: list[ProviderError | None] = []

    def acquire(self, *, latest: datetime) -> datetime:
        return self._clock.now()

    def is_stale(self, slot: datetime) -> bool:
        return False

    def record_result(self, error: ProviderError | None) -> None:
        self.heard_errors.append(error)


class ScriptedGuard(OpenGuard):
    """Raises what it is told to, one reservation after another, and is open when nothing is left to tell."""

    def __init__(self, clock: Clock, *errors: SwitchboardError) -> None:
        super().__init__(clock)
        self._script = deque(errors)

    def acquire(self, *, latest: datetime) -> datetime:
        if self._script:
            raise self._script.popleft()
        return super().acquire(latest=latest)

"""Provider guards that always grant a slot, or refuse as scripted."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from switchboard.domain.errors import ProviderError, SwitchboardError
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderGuard


class OpenGuard(ProviderGuard):
    """A guard that grants each slot at once. `results` are the recorded results, in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.results: list[ProviderError | None] = []

    def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
        return self._clock.now()

    def is_stale(self, slot: datetime) -> bool:
        return False

    def record_result(self, error: ProviderError | None) -> None:
        self.results.append(error)


class ScriptedGuard(OpenGuard):
    """A guard that raises one error of its script for each reservation, and grants every slot after the last."""

    def __init__(self, clock: Clock, *errors: SwitchboardError) -> None:
        super().__init__(clock)
        self._script = deque(errors)

    def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
        if self._script:
            raise self._script.popleft()
        return super().acquire(latest=latest)

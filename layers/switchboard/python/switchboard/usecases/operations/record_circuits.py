"""Record which providers' circuits are open, so that a change is published as that of any resource."""

from __future__ import annotations

from contextlib import suppress

from switchboard.domain.errors import StoreError
from switchboard.ports.changes import CircuitStore
from switchboard.usecases.operations.query_status import SystemStatus


class RecordCircuits:
    """The record of the circuits in the state table. What a minute cannot record, the next one does."""

    def __init__(self, *, circuits: CircuitStore) -> None:
        self._circuits = circuits

    def __call__(self, status: SystemStatus) -> None:
        """Record the circuit of every provider whose state was read."""
        for provider, state in status.providers.items():
            if state is not None:
                with suppress(StoreError):
                    self._circuits.record(provider, state.open_because, at=status.at)

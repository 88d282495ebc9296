"""What every simulated provider keeps, whatever it is: the settings in force, scripted faults, the requests it saw."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Generic, TypeVar

from sandbox.simulators.clock_and_locks import StateLock
from sandbox.simulators.faults import FaultScript, ScriptedFault
from sandbox.simulators.settings import Settings

Log = Callable[[str], None]

_MOST_REQUESTS_KEPT: Final = 100_000

C = TypeVar("C", bound=Settings)
F = TypeVar("F", bound=ScriptedFault)
R = TypeVar("R")


class Account(Generic[C, F, R]):
    """Of settings C, faults F and requests R. Every public method may be called from any thread."""

    def __init__(self, config: C, *, lock: StateLock, log: Log) -> None:
        self._initial = self._config = config
        self.lock = lock
        self._log = log
        self._faults = FaultScript[F]()
        self._requests: deque[R] = deque(maxlen=_MOST_REQUESTS_KEPT)

    @property
    def config(self) -> C:
        """Return the configuration in force."""
        return self._config

    @property
    def requests(self) -> tuple[R, ...]:
        """Return the requests seen, oldest first (the last 100,000)."""
        with self.lock.changed:
            return tuple(self._requests)

    def configure(self, changes: Mapping[str, object]) -> None:
        """Change settings by name; raises ValueError and changes nothing when one is wrong."""
        with self.lock.changed:
            self._config = self._config.changed(changes)

    def add_fault(self, fault: F) -> None:
        """Script a fault behind those already scripted."""
        with self.lock.changed:
            self._faults.add(fault)

    def pending_faults(self) -> list[dict[str, object]]:
        """Return the faults still to come."""
        with self.lock.changed:
            return self._faults.pending()

    def reset(self) -> None:
        """Go back to the beginning: configuration, credentials, faults, requests.

        Settings that say where the customer is stay: they are not how the provider behaves.
        """
        with self.lock.changed:
            self._config = self._initial.at_the_addresses_of(self._config)
            self._faults.clear()
            self._requests.clear()

    def _set_credentials(self, **credentials: str) -> None:
        with self.lock.changed:
            self._config = replace(self._config, **credentials)

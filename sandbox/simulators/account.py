"""Holds the state that every simulated provider has: settings in force, scripted faults, requests received."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Generic, TypeVar

from sandbox.simulators.clock_and_locks import StateLock
from sandbox.simulators.faults import FaultScript, ScriptedFault
from sandbox.simulators.settings import Settings

Log = Callable[[str], None]

_MAX_REQUESTS: Final = 100_000

C = TypeVar("C", bound=Settings)
F = TypeVar("F", bound=ScriptedFault)
R = TypeVar("R")


class Account(Generic[C, F, R]):
    """An account at a provider, with settings C, faults F and requests R.

    Every public method may be called from any thread.
    """

    def __init__(self, config: C, *, lock: StateLock, log: Log) -> None:
        self._initial = self._config = config
        self.lock = lock
        self._log = log
        self._faults = FaultScript[F]()
        self._requests: deque[R] = deque(maxlen=_MAX_REQUESTS)

    @property
    def config(self) -> C:
        """The settings in force."""
        return self._config

    @property
    def requests(self) -> tuple[R, ...]:
        """The last 100,000 requests, oldest first."""
        with self.lock:
            return tuple(self._requests)

    def configure(self, changes: Mapping[str, object]) -> None:
        """Change settings by name.

        Raises:
            ValueError: when a name or a value is wrong. No setting has changed then.
        """
        with self.lock:
            self._config = self._config.with_changes(changes)

    def add_fault(self, fault: F) -> None:
        """Script a fault behind those already scripted."""
        with self.lock:
            self._faults.add(fault)

    def pending_faults(self) -> list[dict[str, object]]:
        """Return the faults that are still to come."""
        with self.lock:
            return self._faults.pending()

    def reset(self) -> None:
        """Restore the initial settings and credentials, and forget faults and requests.

        The customer's addresses stay: they are no behaviour of the provider.
        """
        with self.lock:
            self._config = self._initial.with_addresses_of(self._config)
            self._faults.clear()
            self._requests.clear()

    def _set_credentials(self, **credentials: str) -> None:
        with self.lock:
            self._config = replace(self._config, **credentials)

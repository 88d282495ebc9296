"""The guard of a recogniser: a pace for each kind of request, and a permit for each job in progress."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from switchboard.guard.provider.rate_limiter import ProviderGuards
from switchboard.guard.provider.settings import GuardSettings
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.provider_limits import ProviderGuard, ProviderLimitStore

_LONGEST_JOB: Final = timedelta(hours=24)
_WORKER_LENGTH: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerLimits:
    """The recogniser's limits: Starts and looks a second, and jobs in progress."""

    starts_per_s: int = 5
    looks_per_s: int = 10
    in_flight: int

    def start_settings(self) -> GuardSettings:
        """Return the limits of Start. A permit is a job's, not a request's: it lasts as long as a job may."""
        return GuardSettings(
            requests_per_s=self.starts_per_s,
            in_flight=self.in_flight,
            idle_permits=self.in_flight,
            lease=_LONGEST_JOB,
        )

    def look_settings(self) -> GuardSettings:
        """Return the limits of the questions about jobs."""
        return GuardSettings(requests_per_s=self.looks_per_s, in_flight=None)


class LimitStoreRecognizerGuard:
    """A RecognizerGuard over the store of provider limits. The account's role has no version to be refused."""

    def __init__(
        self, *, store: ProviderLimitStore, provider: str, limits: RecognizerLimits, clock: Clock, new_id: ClaimIds
    ) -> None:
        self._store = store
        self._start_key = f"{provider}#start"
        self._look_key = f"{provider}#look"
        self._limits = limits
        self._clock = clock
        self._new_id = new_id

    def for_start(self, job: str) -> ProviderGuard:
        return self._build(self._start_key, _worker_of(job), self._limits.start_settings())

    def for_look(self) -> ProviderGuard:
        return self._build(self._look_key, self._new_id(), self._limits.look_settings())

    def release(self, job: str) -> None:
        self._store.return_permits(self._start_key, workers={_worker_of(job)})

    def _build(self, key: str, worker: str, settings: GuardSettings) -> ProviderGuard:
        return ProviderGuards(
            store=self._store,
            key=key,
            new_container_id=lambda: worker,
            settings=settings,
            clock=self._clock,
            version=lambda: "role",
        ).single


def _worker_of(job: str) -> str:
    """Return the holder of a job's permit: the same one for every try of the job."""
    return hashlib.sha256(job.encode()).hexdigest()[:_WORKER_LENGTH]

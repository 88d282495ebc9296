"""Keep the news a provider brings about a call: as it came, and as a fact about the call that it names."""

from __future__ import annotations

from enum import StrEnum

from switchboard.domain.calls import CallResult
from switchboard.ports.clock import Clock
from switchboard.ports.reports import CallbackVault, RawCallback
from switchboard.ports.voice_calls import CallReportStore
from switchboard.usecases.insistence import insist


class ResultOutcome(StrEnum):
    """Where a result went. An `unmatched` one names a call that is not ours, or not yet known to be."""

    RECORDED = "recorded"
    UNMATCHED = "unmatched"


class RecordCallResult:
    """The form of these callbacks is not published, so that each is kept raw before anything is read from it."""

    def __init__(self, *, calls: CallReportStore, vault: CallbackVault, clock: Clock) -> None:
        self._calls = calls
        self._vault = vault
        self._clock = clock

    def keep(self, callback: RawCallback, *, reason: str) -> None:
        """Raises StoreUnavailableError if it could not be kept."""
        insist(lambda: self._vault.quarantine(callback, reason=reason, at=self._clock.now()))

    def __call__(self, result: CallResult) -> ResultOutcome:
        """Returns once the result is durable. Raises StoreUnavailableError."""
        now = self._clock.now()
        ours = insist(lambda: self._calls.record_result(result, seen_at=now))
        return ResultOutcome.RECORDED if ours else ResultOutcome.UNMATCHED

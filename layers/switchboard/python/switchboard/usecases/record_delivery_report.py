"""Keep the news a provider brings about a message: one write, in any order, any number of times."""

from __future__ import annotations

from enum import StrEnum

from switchboard.domain.delivery import DeliveryReport
from switchboard.domain.errors import StoreUnavailableError
from switchboard.ports.clock import Clock
from switchboard.ports.reports import CallbackVault, HeldReport, RawCallback, ReportStore


class ReportOutcome(StrEnum):
    """Where a report went."""

    RECORDED = "recorded"
    ORPHAN = "orphan"
    HELD = "held"


class RecordDeliveryReport:
    """A provider may never repeat a report, so one that the state table cannot take now is held in the vault."""

    def __init__(self, *, messages: ReportStore, vault: CallbackVault, clock: Clock) -> None:
        self._messages = messages
        self._vault = vault
        self._clock = clock

    def __call__(self, report: DeliveryReport) -> ReportOutcome:
        """Returns once the report is durable. Raises StoreUnavailableError if it could not be kept anywhere."""
        now = self._clock.now()
        try:
            ours = self._messages.record_report(report, seen_at=now)
        except StoreUnavailableError:
            self._vault.hold(HeldReport(report=report, seen_at=now))
            return ReportOutcome.HELD
        return ReportOutcome.RECORDED if ours else ReportOutcome.ORPHAN


class QuarantineCallback:
    """Keeps an authentic callback that nobody could read, exactly as it came."""

    def __init__(self, *, vault: CallbackVault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock

    def __call__(self, callback: RawCallback, *, reason: str) -> None:
        """Raises StoreUnavailableError if it could not be kept."""
        self._vault.quarantine(callback, reason=reason, at=self._clock.now())

"""One round of the sweep: reports that were held, and then whatever has been silent for too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from switchboard.ports.reports import CallbackVault, HeldReport, ReportStore
from switchboard.usecases.insistence import insist
from switchboard.usecases.settle_overdue import SweepAction


class Settle(Protocol):
    """One round for one kind of what may be overdue."""

    def __call__(self, *, limit: int) -> Counter[SweepAction]:
        """Raises StoreUnavailableError: what was done stays done, the rest waits for the next round."""
        ...


class SweepOverdue:
    """The scheduled verb."""

    def __init__(
        self,
        *,
        reports: ReportStore,
        vault: CallbackVault,
        settle: Sequence[Settle],
        batch: int = 200,
    ) -> None:
        self._reports = reports
        self._vault = vault
        self._settle = settle
        self._batch = batch

    def __call__(self) -> Counter[SweepAction]:
        """One round. Raises StoreUnavailableError: what was done stays done, the rest waits for the next round."""
        done = self._release_held_reports()
        for settle in self._settle:
            done += settle(limit=self._batch)
        return done

    def _release_held_reports(self) -> Counter[SweepAction]:
        done: Counter[SweepAction] = Counter()
        for held in self._vault.held(limit=self._batch):
            self._release(held)
            done[SweepAction.REPORT_RELEASED] += 1
        return done

    def _release(self, held: HeldReport) -> None:
        insist(lambda: self._reports.record_report(held.report, seen_at=held.seen_at))
        self._vault.release(held)

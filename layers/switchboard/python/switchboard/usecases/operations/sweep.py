"""One round of the sweep: news that was held, and then whatever has been silent for too long."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Protocol, TypeVar

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.verifications import IvrNotice
from switchboard.domain.voice_calls import CallResult
from switchboard.ports.callbacks import CallbackVault, HeldReport, RawCallback, ReportStore
from switchboard.ports.verifications import CodeStore
from switchboard.ports.voice_calls import CallReportStore
from switchboard.usecases.insistence import insist
from switchboard.usecases.operations.reconcile_overdue import SweepAction
from switchboard.usecases.verification.record_ivr_call import UNMATCHED, RecordIvrNotice


class Settle(Protocol):
    """One round for one kind of what may be overdue."""

    def __call__(self, *, limit: int) -> Counter[SweepAction]:
        """Raises StoreUnavailableError: what was done stays done, the rest waits for the next round."""
        ...


P = TypeVar("P")


class SweepOverdue:
    """The scheduled verb. `codes` and `notices` are needed where verifications' news may be held, `results` where
    calls' may."""

    def __init__(
        self,
        *,
        reports: ReportStore,
        vault: CallbackVault,
        settle: Sequence[Settle],
        batch: int = 200,
        codes: CodeStore | None = None,
        notices: RecordIvrNotice | None = None,
        results: CallReportStore | None = None,
    ) -> None:
        self._reports = reports
        self._vault = vault
        self._settle = settle
        self._batch = batch
        self._codes = codes
        self._notices = notices
        self._results = results

    def __call__(self, *, enough: Callable[[], bool] = lambda: True) -> Counter[SweepAction]:
        """Round after round until nothing is left or it is `enough`. Raises StoreUnavailableError: what was done stays
        done, the rest waits for the next sweep.

        No part waits for another: what keeps callbacks or queues may be down for hours, and deadlines pass meanwhile.
        """
        done: Counter[SweepAction] = Counter()
        failed: StoreUnavailableError | None = None
        parts: list[Callable[[], Counter[SweepAction]]] = [self._release_held_reports]
        parts += [partial(settle, limit=self._batch) for settle in self._settle]
        while parts:
            for part in tuple(parts):
                try:
                    settled = part()
                except StoreUnavailableError as error:
                    failed = failed or error
                    parts.remove(part)
                    continue
                done += settled
                if settled.total() < self._batch:
                    parts.remove(part)
            if enough():
                break
        if failed is not None:
            raise failed
        return done

    def _release_held_reports(self) -> Counter[SweepAction]:
        done: Counter[SweepAction] = Counter()
        for held in self._vault.held(limit=self._batch):
            done[self._release(held)] += 1
        return done

    def _release(self, held: HeldReport) -> SweepAction:
        action = SweepAction.REPORT_RELEASED
        match held.report:
            case DeliveryReport() as report:
                self._release_report(report, held)
            case IvrNotice() as notice:
                self._release_notice(notice, held)
            case CallResult() as result:
                results = _needed(self._results)
                insist(lambda: results.record_result(result, seen_at=held.seen_at))
            case RawCallback() as raw:
                # It must not stand in the way of what is held behind it, nor of anything that is overdue.
                self._vault.quarantine(raw, reason="held and unreadable", at=held.seen_at)
                action = SweepAction.REPORT_QUARANTINED
        self._vault.release(held)
        return action

    def _release_report(self, report: DeliveryReport, held: HeldReport) -> None:
        code = held.code
        insist(lambda: self._reports.record_report(report, seen_at=held.seen_at))
        if code is not None:
            codes = _needed(self._codes)
            insist(lambda: codes.record_code(report.smsid, code))

    def _release_notice(self, notice: IvrNotice, held: HeldReport) -> None:
        """What belongs to nothing is kept apart, as it is when it comes."""
        outcome = _needed(self._notices).record(notice, seen_at=held.seen_at)
        if outcome in UNMATCHED:
            told = json.dumps(asdict(notice)).encode()
            callback = RawCallback("mediasms_ivr", method="", query="", content_type="application/json", body=told)
            self._vault.quarantine(callback, reason=outcome.value, at=held.seen_at)


def _needed(part: P | None) -> P:
    if part is None:
        raise AssertionError("this sweep was made without what releases this kind of news")
    return part

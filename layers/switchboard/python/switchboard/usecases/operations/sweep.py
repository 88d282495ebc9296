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
from switchboard.domain.verification.verifications import IvrCallEvent
from switchboard.domain.voice_calls import CallResult
from switchboard.ports.callbacks import CallbackArchive, RawCallback, ReportStore, SpooledEvent
from switchboard.ports.verifications import CodeStore
from switchboard.ports.voice_calls import CallResultStore
from switchboard.usecases.operations.reconcile_overdue import SweepAction
from switchboard.usecases.verification.record_ivr_call import UNMATCHED, RecordIvrCall


class Reconcile(Protocol):
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
        archive: CallbackArchive,
        reconcile: Sequence[Reconcile],
        batch: int = 200,
        codes: CodeStore | None = None,
        notices: RecordIvrCall | None = None,
        results: CallResultStore | None = None,
    ) -> None:
        self._reports = reports
        self._archive = archive
        self._reconcile = reconcile
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
        parts: list[Callable[[], Counter[SweepAction]]] = [self._replay_spooled_events]
        parts += [partial(reconcile, limit=self._batch) for reconcile in self._reconcile]
        while parts:
            for part in tuple(parts):
                try:
                    reconciled = part()
                except StoreUnavailableError as error:
                    failed = failed or error
                    parts.remove(part)
                    continue
                done += reconciled
                if reconciled.total() < self._batch:
                    parts.remove(part)
            if enough():
                break
        if failed is not None:
            raise failed
        return done

    def _replay_spooled_events(self) -> Counter[SweepAction]:
        done: Counter[SweepAction] = Counter()
        for spooled in self._archive.spooled(limit=self._batch):
            done[self._replay(spooled)] += 1
        return done

    def _replay(self, spooled: SpooledEvent) -> SweepAction:
        action = SweepAction.EVENT_REPLAYED
        match spooled.event:
            case DeliveryReport() as report:
                self._replay_report(report, spooled)
            case IvrCallEvent() as notice:
                self._replay_ivr_call(notice, spooled)
            case CallResult() as result:
                _needed(self._results).record_result(result, seen_at=spooled.seen_at)
            case RawCallback() as raw:
                # It must not stand in the way of what is held behind it, nor of anything that is overdue.
                self._archive.quarantine(raw, reason="spooled and unreadable", at=spooled.seen_at)
                action = SweepAction.EVENT_QUARANTINED
        self._archive.remove(spooled)
        return action

    def _replay_report(self, report: DeliveryReport, spooled: SpooledEvent) -> None:
        self._reports.record_report(report, seen_at=spooled.seen_at)
        if spooled.code is not None:
            _needed(self._codes).record_code(report.smsid, spooled.code)

    def _replay_ivr_call(self, notice: IvrCallEvent, spooled: SpooledEvent) -> None:
        """What belongs to nothing is kept apart, as it is when it comes."""
        outcome = _needed(self._notices).record(notice, seen_at=spooled.seen_at)
        if outcome in UNMATCHED:
            told = json.dumps(asdict(notice)).encode()
            callback = RawCallback("mediasms_ivr", method="", query="", content_type="application/json", body=told)
            self._archive.quarantine(callback, reason=outcome.value, at=spooled.seen_at)


def _needed(part: P | None) -> P:
    if part is None:
        raise AssertionError("this sweep was made without what releases this kind of news")
    return part

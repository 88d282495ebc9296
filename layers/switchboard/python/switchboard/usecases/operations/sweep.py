"""Run one sweep: replay the spooled events, and then reconcile the overdue items."""

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

P = TypeVar("P")


class Reconcile(Protocol):
    """One round over one kind of item that may be overdue."""

    def __call__(self, *, limit: int) -> Counter[SweepAction]:
        """Act on at most `limit` overdue items.

        Raises:
            StoreUnavailableError: the recorded actions stand, and the rest waits for the next round.
        """
        ...


class SweepOverdue:
    """The scheduled use case.

    `codes` and `ivr_calls` are needed if events of verifications may be spooled, `results` if call results may be.
    """

    def __init__(
        self,
        *,
        reports: ReportStore,
        archive: CallbackArchive,
        reconcile: Sequence[Reconcile],
        batch: int = 200,
        codes: CodeStore | None = None,
        ivr_calls: RecordIvrCall | None = None,
        results: CallResultStore | None = None,
    ) -> None:
        self._reports = reports
        self._archive = archive
        self._reconcile = reconcile
        self._batch = batch
        self._codes = codes
        self._ivr_calls = ivr_calls
        self._results = results

    def __call__(self, *, enough: Callable[[], bool] = lambda: True) -> Counter[SweepAction]:
        """Run rounds until nothing is left or `enough` returns True after a round.

        A part that fails does not stop the others: the archive or a queue may be down for hours, and deadlines pass
        meanwhile.

        Raises:
            StoreUnavailableError: the recorded actions stand, and the rest waits for the next sweep.
        """
        actions: Counter[SweepAction] = Counter()
        failure: StoreUnavailableError | None = None
        parts: list[Callable[[], Counter[SweepAction]]] = [self._replay_spooled_events]
        parts += [partial(reconcile, limit=self._batch) for reconcile in self._reconcile]
        while parts:
            for part in tuple(parts):
                try:
                    round_actions = part()
                except StoreUnavailableError as error:
                    failure = failure or error
                    parts.remove(part)
                    continue
                actions += round_actions
                if round_actions.total() < self._batch:
                    parts.remove(part)
            if enough():
                break
        if failure is not None:
            raise failure
        return actions

    def _replay_spooled_events(self) -> Counter[SweepAction]:
        actions: Counter[SweepAction] = Counter()
        for spooled in self._archive.spooled(limit=self._batch):
            actions[self._replay(spooled)] += 1
        return actions

    def _replay(self, spooled: SpooledEvent) -> SweepAction:
        action = SweepAction.EVENT_REPLAYED
        match spooled.event:
            case DeliveryReport() as report:
                self._replay_report(report, spooled)
            case IvrCallEvent() as ivr_call:
                self._replay_ivr_call(ivr_call, spooled)
            case CallResult() as result:
                _require(self._results).record_result(result, seen_at=spooled.seen_at)
            case RawCallback() as raw:
                # An unreadable event must block neither the events behind it nor any overdue item.
                self._archive.quarantine(raw, reason="spooled and unreadable", at=spooled.seen_at)
                action = SweepAction.EVENT_QUARANTINED
        self._archive.remove(spooled)
        return action

    def _replay_report(self, report: DeliveryReport, spooled: SpooledEvent) -> None:
        self._reports.record_report(report, seen_at=spooled.seen_at)
        if spooled.code is not None:
            _require(self._codes).record_code(report.smsid, spooled.code)

    def _replay_ivr_call(self, ivr_call: IvrCallEvent, spooled: SpooledEvent) -> None:
        """Record the call, or quarantine it if it belongs to no verification, as the webhook does."""
        match = _require(self._ivr_calls).record(ivr_call, seen_at=spooled.seen_at)
        if match in UNMATCHED:
            body = json.dumps(asdict(ivr_call)).encode()
            callback = RawCallback("mediasms_ivr", method="", query="", content_type="application/json", body=body)
            self._archive.quarantine(callback, reason=match.value, at=spooled.seen_at)


def _require(part: P | None) -> P:
    if part is None:
        raise AssertionError("this sweep was built without the store for this kind of event")
    return part

"""Run one sweep: replay the spooled events, and then reconcile the overdue items."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final, Protocol, TypeVar

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.callbacks import IvrCallEvent
from switchboard.ports.callbacks import CallbackArchive, CodeStore, EventPlace, RawCallback, ReportStore, SpooledEvent
from switchboard.ports.verifications import FallbackQueue
from switchboard.ports.voice_calls import CallResultStore
from switchboard.usecases.operations.reconcile_overdue import SweepAction, SweepReport, act_on_each
from switchboard.usecases.verification.record_ivr_call import UNMATCHED, RecordIvrCall

P = TypeVar("P")


class Reconcile(Protocol):
    """One round over one kind of item that may be overdue."""

    def __call__(self, report: SweepReport, /, *, limit: int) -> int:
        """Act on at most `limit` overdue items, and return how many were handled.

        Raises:
            StoreUnavailableError: the overdue items cannot be found. Other failures are in the report.
        """
        ...


class SweepOverdue:
    """The scheduled use case.

    `codes`, `ivr_calls` and `fallbacks` are needed if events of verifications may be spooled, `results` if call results
    may be.
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
        fallbacks: FallbackQueue | None = None,
    ) -> None:
        self._reports = reports
        self._archive = archive
        self._reconcile = reconcile
        self._batch = batch
        self._codes = codes
        self._ivr_calls = ivr_calls
        self._results = results
        self._fallbacks = fallbacks

    def __call__(
        self, *, enough: Callable[[], bool] = lambda: True, report: SweepReport | None = None
    ) -> Counter[SweepAction]:
        """Run rounds until nothing is left or `enough` returns True after a round.

        A part that fails does not stop the others: the archive or a queue may be down for hours, and deadlines pass
        meanwhile. `report` is filled on the way, so that its owner has it even if the sweep fails.

        Raises:
            StoreUnavailableError: the recorded actions stand, and the rest waits for the next sweep.
        """
        report = report or SweepReport()
        parts: list[Reconcile] = [self._replay_spooled_events, *self._reconcile]
        while parts:
            for part in tuple(parts):
                if self._run_round(part, report) < self._batch:
                    parts.remove(part)
            if enough():
                break
        if report.failure is not None:
            raise report.failure
        return report.actions

    def _run_round(self, part: Reconcile, report: SweepReport) -> int:
        try:
            return part(report, limit=self._batch)
        except StoreUnavailableError as error:
            report.add_failure(error)
            return 0

    def _replay_spooled_events(self, report: SweepReport, /, *, limit: int) -> int:
        spooled = self._archive.spooled(limit=limit)
        return act_on_each(
            spooled, self._replay_or_quarantine, name=lambda event: event.handle, limit=limit, report=report
        )

    def _replay_or_quarantine(self, spooled: SpooledEvent) -> SweepAction:
        """Replay the event, or quarantine it if that fails in a way that no repetition mends."""
        try:
            return self._replay(spooled)
        except (StoreUnavailableError, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001 - the event is kept for an operator, and those behind it go on
            self._archive.quarantine(_to_raw_callback(spooled), reason=type(error).__name__, at=spooled.seen_at)
            self._archive.remove(spooled)
            return SweepAction.EVENT_QUARANTINED

    def _replay(self, spooled: SpooledEvent) -> SweepAction:
        action = SweepAction.EVENT_REPLAYED
        match spooled.event:
            case DeliveryReport() as report:
                action = self._replay_report(report, spooled)
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

    def _replay_report(self, report: DeliveryReport, spooled: SpooledEvent) -> SweepAction:
        place = self._reports.record_report(report, seen_at=spooled.seen_at)
        if spooled.code is not None:
            _require(self._codes).record_code(report.smsid, spooled.code)
        if place is EventPlace.NOT_ARRIVING:
            _require(self._fallbacks).put_fallback(report.smsid)
        if place is not EventPlace.OVERFLOWED:
            return SweepAction.EVENT_REPLAYED
        self._archive.quarantine(_to_raw_callback(spooled), reason=place.value, at=spooled.seen_at)
        return SweepAction.EVENT_QUARANTINED

    def _replay_ivr_call(self, ivr_call: IvrCallEvent, spooled: SpooledEvent) -> None:
        """Record the call, or quarantine it if it belongs to no verification, as the webhook does."""
        match = _require(self._ivr_calls).record(ivr_call, seen_at=spooled.seen_at)
        if match in UNMATCHED:
            self._archive.quarantine(_to_raw_callback(spooled), reason=match.value, at=spooled.seen_at)


_ROUTES: Final[Mapping[type[object], str]] = {
    DeliveryReport: "mediasms_delivery",
    IvrCallEvent: "mediasms_ivr",
    CallResult: "baidu_vms",
}


def _to_raw_callback(spooled: SpooledEvent) -> RawCallback:
    """Write a spooled event, with its code's hash, in the form in which the quarantine keeps callbacks."""
    if isinstance(spooled.event, RawCallback):
        return spooled.event
    content = asdict(spooled.event)
    if spooled.code is not None:
        content["code"] = {"key": spooled.code.key_version, "digest": spooled.code.digest.hex()}
    body = json.dumps(content, default=str).encode()
    route = _ROUTES[type(spooled.event)]
    return RawCallback(route, method="", query=spooled.handle, content_type="application/json", body=body)


def _require(part: P | None) -> P:
    if part is None:
        raise AssertionError("this sweep was built without the store for this kind of event")
    return part

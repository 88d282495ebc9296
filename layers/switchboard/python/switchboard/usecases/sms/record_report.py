"""Record a delivery report, and the keyed hash of the code that came with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from enum import StrEnum

from switchboard.domain.errors import ConfigurationError, StoreError, StoreUnavailableError
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.callbacks import CodeHash, ParsedDeliveryReport
from switchboard.domain.verification.one_time_codes import hash_code
from switchboard.ports.callbacks import CallbackArchive, CodeKeys, CodeStore, EventPlace, ReportStore, SpooledEvent
from switchboard.ports.clock import Clock


class ReportOutcome(StrEnum):
    """The place that a report went to.

    An `orphan` names an id that is not ours, or another number than the message's. For an `overflowed` one there is no
    room left with its id: only its raw callback is kept.
    """

    RECORDED = "recorded"
    NOT_ARRIVING = "not_arriving"
    """The report is recorded. Its SMS has a code, and its verification may fall back to a call."""
    RECORDED_WITHOUT_CODE = "recorded_without_code"
    """The report is recorded. Its code is for no verification of the number that the report names."""
    ORPHAN = "orphan"
    OVERFLOWED = "overflowed"
    SPOOLED = "spooled"


class RecordDeliveryReport:
    """The use case of the delivery webhook.

    `code_keys` is read only for a report with a code. `put_fallback` is called only for a report of a code's SMS that
    does not arrive.

    A provider may never repeat a report. So a report that the state table cannot take now is spooled in the archive.
    """

    def __init__(
        self,
        *,
        reports: ReportStore,
        codes: CodeStore,
        archive: CallbackArchive,
        clock: Clock,
        code_keys: CodeKeys,
        put_fallback: Callable[[str], None],
    ) -> None:
        self._reports = reports
        self._codes = codes
        self._archive = archive
        self._clock = clock
        self._code_keys = code_keys
        self._put_fallback = put_fallback

    def __call__(self, callback: ParsedDeliveryReport) -> ReportOutcome:
        """Record the report and its code, and return once both are durable.

        The code comes first: the next report of the message may repeat its status, but not its code.

        Raises:
            StoreUnavailableError: neither the state table nor the archive took them, or the code key cannot be read.
                Then the report is recorded all the same.
            StoreRefusedError: the state table refuses them for good. The raw callback is to be kept.
        """
        now, report = self._clock.now(), callback.report
        try:
            code = self._hash_code(callback, at=now)
        except (StoreUnavailableError, ConfigurationError):
            self._record(report, None, seen_at=now)
            raise
        return self._record(report, code, seen_at=now)

    def _hash_code(self, callback: ParsedDeliveryReport, *, at: datetime) -> CodeHash | None:
        if callback.authcode is None:
            return None
        report = callback.report
        key = self._code_keys.current()
        return hash_code(key, callback.authcode, verification_id=report.smsid, at=at, recipient=report.recipient)

    def _record(self, report: DeliveryReport, code: CodeHash | None, *, seen_at: datetime) -> ReportOutcome:
        code_refused = False
        try:
            if code is not None:
                code_refused = not self._codes.record_code(report.smsid, code)
                code = None
            place = self._reports.record_report(report, seen_at=seen_at)
        except StoreUnavailableError:
            self._archive.spool(SpooledEvent(event=report, seen_at=seen_at, code=code))
            return ReportOutcome.SPOOLED
        if place is EventPlace.NOT_ARRIVING:
            # The verification's own time calls the number if this entry is lost.
            with suppress(StoreError):
                self._put_fallback(report.smsid)
        if code_refused and place is EventPlace.RECORDED:
            return ReportOutcome.RECORDED_WITHOUT_CODE
        return ReportOutcome(place.value)

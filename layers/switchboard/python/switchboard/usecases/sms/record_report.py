"""Record a delivery report, and the hash of the code that came with it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.verification.callbacks import ParsedDeliveryReport
from switchboard.domain.verification.one_time_codes import hash_code
from switchboard.ports.callbacks import CallbackArchive, CodeStore, EventPlace, ReportStore, SpooledEvent
from switchboard.ports.clock import Clock


class ReportOutcome(StrEnum):
    """The place that a report went to.

    An `orphan` names an id that is not ours, or another number than the message's. For an `overflowed` one there is no
    room left with its id: only its raw callback is kept.
    """

    RECORDED = "recorded"
    RECORDED_WITHOUT_CODE = "recorded_without_code"
    """The report is recorded. Its code is for no verification of the number that the report names."""
    ORPHAN = "orphan"
    OVERFLOWED = "overflowed"
    SPOOLED = "spooled"


class RecordDeliveryReport:
    """The use case of the delivery webhook. `new_salt` returns `one_time_codes.SALT_BYTES` random bytes.

    A provider may never repeat a report. So a report that the state table cannot take now is spooled in the archive.
    """

    def __init__(
        self,
        *,
        reports: ReportStore,
        codes: CodeStore,
        archive: CallbackArchive,
        clock: Clock,
        new_salt: Callable[[], bytes],
    ) -> None:
        self._reports = reports
        self._codes = codes
        self._archive = archive
        self._clock = clock
        self._new_salt = new_salt

    def __call__(self, callback: ParsedDeliveryReport) -> ReportOutcome:
        """Record the report and its code, and return once both are durable.

        The code comes first: the next report of the message may repeat its status, but not its code.

        Raises:
            StoreUnavailableError: neither the state table nor the archive took them.
            StoreRefusedError: the state table refuses them for good. The raw callback is to be kept.
        """
        now, report, code = self._clock.now(), callback.report, None
        code_refused = False
        if callback.authcode is not None:
            code = hash_code(callback.authcode, salt=self._new_salt(), at=now, recipient=report.recipient)
        try:
            if code is not None:
                code_refused = not self._codes.record_code(report.smsid, code)
                code = None
            place = self._reports.record_report(report, seen_at=now)
        except StoreUnavailableError:
            self._archive.spool(SpooledEvent(event=report, seen_at=now, code=code))
            return ReportOutcome.SPOOLED
        if code_refused and place is EventPlace.RECORDED:
            return ReportOutcome.RECORDED_WITHOUT_CODE
        return ReportOutcome(place.value)

"""Keep a delivery report, and the hash of the code that came with it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.one_time_codes import hash_code
from switchboard.domain.verification.verifications import ParsedDeliveryReport
from switchboard.ports.callbacks import CallbackArchive, ReportStore, SpooledEvent
from switchboard.ports.clock import Clock
from switchboard.ports.verifications import CodeStore


class RecordDeliveryReportAndCode:
    """The code comes first: a report may come again with its next status, a code may not. `new_salt` gives
    `codes.SALT_BYTES` of chance."""

    def __init__(
        self,
        *,
        record: RecordDeliveryReport,
        codes: CodeStore,
        archive: CallbackArchive,
        clock: Clock,
        new_salt: Callable[[], bytes],
    ) -> None:
        self._record = record
        self._codes = codes
        self._archive = archive
        self._clock = clock
        self._new_salt = new_salt

    def __call__(self, notification: ParsedDeliveryReport) -> ReportOutcome:
        """Returns once both are durable. Raises StoreUnavailableError if either could not be kept anywhere."""
        if notification.authcode is not None and not self._keep_code(notification, notification.authcode):
            return ReportOutcome.SPOOLED
        return self._record(notification.report)

    def _keep_code(self, notification: ParsedDeliveryReport, authcode: str) -> bool:
        """False where report and code are held."""
        report, now = notification.report, self._clock.now()
        code = hash_code(authcode, salt=self._new_salt(), at=now, recipient=report.recipient)
        try:
            self._codes.record_code(report.smsid, code)
        except StoreUnavailableError:
            self._archive.spool(SpooledEvent(event=report, seen_at=now, code=code))
            return False
        return True


class ReportOutcome(StrEnum):
    """Where a report went."""

    RECORDED = "recorded"
    ORPHAN = "orphan"
    SPOOLED = "spooled"


class RecordDeliveryReport:
    """A provider may never repeat a report, so one that the state table cannot take now is held in the archive."""

    def __init__(self, *, messages: ReportStore, archive: CallbackArchive, clock: Clock) -> None:
        self._messages = messages
        self._archive = archive
        self._clock = clock

    def __call__(self, report: DeliveryReport) -> ReportOutcome:
        """Returns once the report is durable. Raises StoreUnavailableError if it could not be kept anywhere."""
        now = self._clock.now()
        try:
            ours = self._messages.record_report(report, seen_at=now)
        except StoreUnavailableError:
            self._archive.spool(SpooledEvent(event=report, seen_at=now))
            return ReportOutcome.SPOOLED
        return ReportOutcome.RECORDED if ours else ReportOutcome.ORPHAN

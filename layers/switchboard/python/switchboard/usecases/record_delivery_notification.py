"""Keep a delivery report, and the hash of the code that came with it."""

from __future__ import annotations

from collections.abc import Callable

from switchboard.domain.codes import hashed
from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.verifications import DeliveryNotification
from switchboard.ports.clock import Clock
from switchboard.ports.reports import CallbackVault, HeldReport
from switchboard.ports.verifications import CodeStore
from switchboard.usecases.record_delivery_report import RecordDeliveryReport, ReportOutcome


class RecordDeliveryNotification:
    """The code comes first: a report may come again with its next status, a code may not. `new_salt` gives
    `codes.SALT_BYTES` of chance."""

    def __init__(
        self,
        *,
        record: RecordDeliveryReport,
        codes: CodeStore,
        vault: CallbackVault,
        clock: Clock,
        new_salt: Callable[[], bytes],
    ) -> None:
        self._record = record
        self._codes = codes
        self._vault = vault
        self._clock = clock
        self._new_salt = new_salt

    def __call__(self, notification: DeliveryNotification) -> ReportOutcome:
        """Returns once both are durable. Raises StoreUnavailableError if either could not be kept anywhere."""
        if notification.authcode is not None and not self._keep_code(notification, notification.authcode):
            return ReportOutcome.HELD
        return self._record(notification.report)

    def _keep_code(self, notification: DeliveryNotification, authcode: str) -> bool:
        """False where report and code are held."""
        report, now = notification.report, self._clock.now()
        code = hashed(authcode, salt=self._new_salt(), at=now, recipient=report.recipient)
        try:
            self._codes.record_code(report.smsid, code)
        except StoreUnavailableError:
            self._vault.hold(HeldReport(report=report, seen_at=now, code=code))
            return False
        return True

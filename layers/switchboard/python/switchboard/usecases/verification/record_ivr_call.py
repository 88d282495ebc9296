"""Keep the news that a number has called one of our lines, where it belongs to a verification without a doubt."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.verification.verifications import IvrCallEvent
from switchboard.ports.callbacks import CallbackArchive, SpooledEvent
from switchboard.ports.clock import Clock
from switchboard.ports.verifications import IvrCallMatch, IvrCallStore

UNMATCHED = frozenset({IvrCallMatch.FOREIGN, IvrCallMatch.NO_CANDIDATE})
"""What is kept apart, for a person to look at."""


class RecordIvrCall:
    """By its id where the notice names one; otherwise by the lease on number and line, of which there is one at most,
    which outlives its verification by `grace`."""

    def __init__(
        self,
        *,
        calls: IvrCallStore,
        leases: IvrCallStore,
        archive: CallbackArchive,
        clock: Clock,
        grace: timedelta,
    ) -> None:
        self._calls = calls
        self._leases = leases
        self._archive = archive
        self._clock = clock
        self._grace = grace

    def __call__(self, notice: IvrCallEvent) -> IvrCallMatch:
        """Returns once the notice is durable, or known to belong to nothing.

        Raises StoreUnavailableError if it could not be kept anywhere.
        """
        now = self._clock.now()
        try:
            return self.record(notice, seen_at=now)
        except StoreUnavailableError:
            self._archive.spool(SpooledEvent(event=notice, seen_at=now))
            return IvrCallMatch.SPOOLED

    def record(self, notice: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        """For a notice that came at `seen_at`. Raises StoreUnavailableError."""
        lease = None
        verification_id = notice.smsid
        if verification_id is None:
            lease = self._leases.lease(recipient=notice.recipient, line=notice.line)
            if lease is None or not lease.held_at(seen_at):
                return IvrCallMatch.NO_CANDIDATE
            verification_id = lease.verification_id
        match = self._calls.record_call(verification_id, notice, seen_at=seen_at)
        if match is IvrCallMatch.MATCHED:
            self._free_line(verification_id, notice, ends=seen_at + self._grace)
        return match

    def _free_line(self, verification_id: str, notice: IvrCallEvent, *, ends: datetime) -> None:
        """What is verified needs its line no longer but for callbacks that come twice. A lease that cannot be
        shortened now ends by itself."""
        with suppress(StoreUnavailableError):
            lease = self._leases.lease(recipient=notice.recipient, line=notice.line)
            if lease is not None and lease.verification_id == verification_id:
                self._leases.shorten_lease(lease, recipient=notice.recipient, line=notice.line, until=ends)

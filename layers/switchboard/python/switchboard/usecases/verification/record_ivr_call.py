"""Record that a number has called one of our lines, if the call belongs to one verification without doubt."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from switchboard.domain.errors import StoreError, StoreUnavailableError
from switchboard.domain.verification.callbacks import IvrCallEvent
from switchboard.ports.callbacks import CallbackArchive, SpooledEvent
from switchboard.ports.clock import Clock
from switchboard.ports.verifications import IvrCallMatch, IvrCallStore

UNMATCHED = frozenset({IvrCallMatch.FOREIGN, IvrCallMatch.NO_CANDIDATE})
"""The matches whose callback goes into quarantine, for an operator to look at."""


class RecordIvrCall:
    """The use case of the IVR webhook.

    A call is matched by its id if the provider names one. Otherwise it is matched by the lease on its number and line.
    There is one such lease at most, and it outlives its verification by `grace`. `leases` is the store that gives a
    line free; it may fail without harm.
    """

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

    def __call__(self, ivr_call: IvrCallEvent) -> IvrCallMatch:
        """Return once the call is durable, or known to belong to no verification.

        Raises:
            StoreUnavailableError: neither the state table nor the archive took the call.
            StoreRefusedError: the state table refuses the call for good. The raw callback is to be kept.
        """
        now = self._clock.now()
        try:
            return self.record(ivr_call, seen_at=now)
        except StoreUnavailableError:
            self._archive.spool(SpooledEvent(event=ivr_call, seen_at=now))
            return IvrCallMatch.SPOOLED

    def record(self, ivr_call: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        """Record a call that came at `seen_at`.

        Raises:
            StoreUnavailableError: the state table gave no answer.
        """
        verification_id = ivr_call.smsid
        if verification_id is None:
            lease = self._calls.lease(recipient=ivr_call.recipient, line=ivr_call.line)
            if lease is None or not lease.covers(seen_at):
                return IvrCallMatch.NO_CANDIDATE
            verification_id = lease.verification_id
        match = self._calls.record_call(verification_id, ivr_call, seen_at=seen_at)
        if match is IvrCallMatch.MATCHED:
            self._free_line(verification_id, ivr_call, until=seen_at + self._grace)
        return match

    def _free_line(self, verification_id: str, ivr_call: IvrCallEvent, *, until: datetime) -> None:
        """Shorten the lease: a verified number needs its line only for callbacks that come twice.

        A lease that cannot be shortened now ends by itself.
        """
        with suppress(StoreError):
            lease = self._leases.lease(recipient=ivr_call.recipient, line=ivr_call.line)
            if lease is not None and lease.verification_id == verification_id:
                self._leases.shorten_lease(lease, recipient=ivr_call.recipient, line=ivr_call.line, until=until)

"""Call the number of a verification whose SMS does not arrive."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from switchboard.domain.errors import StoreError
from switchboard.domain.orders import Claim, Deadlines, OutcomeKind
from switchboard.domain.sms.delivery import StatusTable
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import (
    Verification,
    VerificationState,
    channel_id,
    fallback_due_at,
    status_of,
)
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.verifications import ChannelStore, FallbackQueue, VerificationStore
from switchboard.usecases.submission.attempt import Submission

MAX_QUEUE_DELAY_S: Final = 900
_RETRY_AFTER_S: Final = 5


class FallbackOutcome(StrEnum):
    """The result of one entry of the queue."""

    CALLED = "called"
    REJECTED = "call_rejected"
    UNKNOWN = "call_unknown"
    POSTPONED = "fallback_postponed"
    """The entry is back in the queue: its time has not come, or the provider has no room."""
    NOT_WANTED = "fallback_not_wanted"


class FallBack:
    """The queue's part of a verification's fallback: at most one call, and none after the verification is over.

    The call has the verification's own second id, so that it is an order which is submitted once. Its claim is granted
    only while the verification is open, and the verification is looked at again when the call's slot is reserved. The
    usage limits have counted the call when the verification started.
    """

    def __init__(
        self,
        *,
        verifications: VerificationStore,
        channels: ChannelStore,
        submission: Submission[Verification, Any, Any],
        fallbacks: FallbackQueue,
        clock: Clock,
        new_id: ClaimIds,
        deadlines: Deadlines,
        statuses: StatusTable,
    ) -> None:
        self._verifications = verifications
        self._channels = channels
        self._submission = submission
        self._fallbacks = fallbacks
        self._clock = clock
        self._new_id = new_id
        self._deadlines = deadlines
        self._statuses = statuses

    def __call__(self, order_id: str) -> FallbackOutcome:
        """Request the call if the verification with this id, or with a channel of this id, wants it now.

        Raises:
            StoreUnavailableError: the entry has to be delivered again later.
        """
        verification, now = self._find(order_id), self._clock.now()
        if verification is None or verification.fallback is None:
            return FallbackOutcome.NOT_WANTED
        claim = Claim(id=self._new_id(), at=now)
        if verification.fallback.called_at is not None:
            call = self._channels.get(channel_id(verification.id))
            if call is None or not call.known_unsent or not self._is_open(verification, at=now):
                return FallbackOutcome.NOT_WANTED
            return self._call(verification, replace(call, claims=(*call.claims, claim)))
        due_at = self._find_due_time(verification, at=now)
        if due_at is None:
            return FallbackOutcome.NOT_WANTED
        if due_at > now:
            return self._postpone(verification, by=due_at - now)
        return self._call(verification, _build_call(verification, claim))

    def _find(self, order_id: str) -> Verification | None:
        verification = self._verifications.get(order_id)
        if verification is not None:
            return verification
        channel = self._channels.get(order_id)
        return self._verifications.get(channel.parent_id) if channel is not None and channel.parent_id else None

    def _find_due_time(self, verification: Verification, *, at: datetime) -> datetime | None:
        newest = verification.message_id
        message = verification if newest == verification.id else self._channels.get(newest)
        return fallback_due_at(
            verification, message or verification, statuses=self._statuses, deadlines=self._deadlines, now=at
        )

    def _call(self, verification: Verification, call: Verification) -> FallbackOutcome:
        answer = self._channels.claim_fallback(verification, call)
        if not answer.granted:
            return FallbackOutcome.NOT_WANTED
        attempt = self._submission.run(call, call.claims[-1], still_wanted=lambda: self._is_still_open(verification.id))
        match attempt.outcome.kind:
            case OutcomeKind.ACCEPTED:
                return FallbackOutcome.CALLED
            case OutcomeKind.REJECTED:
                # Without this fact the verification waits in vain until it expires.
                with suppress(StoreError):
                    self._channels.record_refused_call(verification.id)
                return FallbackOutcome.REJECTED
            case OutcomeKind.UNKNOWN:
                return FallbackOutcome.UNKNOWN
        return self._postpone(verification, by=timedelta(seconds=_RETRY_AFTER_S * len(call.claims)))

    def _postpone(self, verification: Verification, *, by: timedelta) -> FallbackOutcome:
        delay_s = min(MAX_QUEUE_DELAY_S, math.ceil(by.total_seconds()))
        self._fallbacks.put_fallback(verification.id, delay_s=delay_s)
        return FallbackOutcome.POSTPONED

    def _is_still_open(self, verification_id: str) -> bool:
        verification = self._verifications.get(verification_id)
        return verification is not None and self._is_open(verification, at=self._clock.now())

    def _is_open(self, verification: Verification, *, at: datetime) -> bool:
        state = status_of(verification, deadlines=self._deadlines, now=at).state
        return state in {VerificationState.PENDING, VerificationState.UNKNOWN}


class PlanFallback:
    """The sweep's part: put a verification into the queue whose own entry may be lost, once."""

    def __init__(self, *, verifications: VerificationStore, fallbacks: FallbackQueue) -> None:
        self._verifications = verifications
        self._fallbacks = fallbacks

    def __call__(self, verification: Verification, now: datetime) -> bool:
        """Put it into the queue if its fallback is overdue, and return whether it was put.

        Raises:
            StoreUnavailableError: the next sweep does it again.
        """
        falls_back_at = verification.falls_back_at
        if falls_back_at is None or falls_back_at > now:
            return False
        self._fallbacks.put_fallback(verification.id)
        self._verifications.postpone(verification, until=verification.expires_at)
        return True


def _build_call(verification: Verification, claim: Claim) -> Verification:
    """Build the call's channel. It lasts for the time that is left, and needs no lease: its line is not dialled."""
    fallback, left = verification.fallback, verification.expires_at - claim.at
    return Verification(
        id=channel_id(verification.id),
        client=verification.client,
        recipient=verification.recipient,
        fingerprint=verification.fingerprint,
        created_at=claim.at,
        submit_before=verification.expires_at,
        claims=(claim,),
        mode=VerificationMode.CALL_OUT,
        line=verification.line,
        holding_minutes=max(1, math.ceil(left / timedelta(minutes=1))),
        repeat_calls=fallback.repeat_calls if fallback else 0,
        parent_id=verification.id,
        ends_at=verification.expires_at,
    )

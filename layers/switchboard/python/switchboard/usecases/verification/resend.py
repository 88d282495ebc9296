"""Send a verification's code once more, as a new code that ends the older one."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from switchboard.domain.errors import (
    AlreadyVerifiedError,
    ConfigurationError,
    FieldProblem,
    InvalidRequestError,
    RequestInProgressError,
    ResendsExhaustedError,
    ResendTooSoonError,
    ResourceNotFoundError,
    StoreError,
    SubmissionFailedError,
    SwitchboardError,
    TooManyAttemptsError,
    VerificationCanceledError,
    VerificationExpiredError,
)
from switchboard.domain.order_ids import is_order_id
from switchboard.domain.orders import Claim, Deadlines, OutcomeKind
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import (
    MAX_ATTEMPTS,
    MAX_RECORDED_RESENDS,
    MAX_RESENDS,
    RESEND_AFTER,
    Resend,
    Verification,
    VerificationState,
    channel_id,
    status_of,
)
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.usage_limits import UsageLimits
from switchboard.ports.verifications import ChannelStore, FallbackQueue, VerificationStore
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import derive_id
from switchboard.usecases.verification.start import put_fallback


@dataclass(frozen=True, slots=True)
class ResendResult:
    """The verification after the resend. `replayed` is True if an earlier request with the same key had made it."""

    verification: Verification
    replayed: bool


class ResendCode:
    """The use case of `POST /v1/verifications/{verification_id}/resend`.

    The usage limits are reserved before the claim: a refused resend leaves the older code valid. The older code ends
    with the claim. If the new SMS is then known to be unsent, it is valid again.
    """

    def __init__(
        self,
        *,
        verifications: VerificationStore,
        channels: ChannelStore,
        submission: Submission[Verification, Any, Any],
        limits: UsageLimits,
        fallbacks: FallbackQueue,
        clock: Clock,
        new_id: ClaimIds,
        deadlines: Deadlines,
    ) -> None:
        self._verifications = verifications
        self._channels = channels
        self._submission = submission
        self._limits = limits
        self._fallbacks = fallbacks
        self._clock = clock
        self._new_id = new_id
        self._deadlines = deadlines

    def __call__(self, verification_id: str, *, client: str, key: str | None = None) -> ResendResult:
        """Send a new code, or replay the request that sent it before.

        Raises:
            ResourceNotFoundError: this client has no such verification.
            InvalidRequestError: the verification is not of mode sms_code.
            AlreadyVerifiedError: a code has verified it before.
            VerificationCanceledError: the caller has canceled it.
            VerificationExpiredError: the verification is over.
            TooManyAttemptsError: all attempts are used, so that no code would verify it.
            ResendTooSoonError: the last SMS was sent a moment ago.
            ResendsExhaustedError: all resends are used.
            RequestInProgressError: another resend or a fallback was claimed at the same time.
            LimitExceededError: a usage limit is reached.
            SubmissionFailedError: the provider accepted nothing.
            StoreUnavailableError: nothing was sent.
        """
        fingerprint = None if key is None else derive_id(client=client, key=key)
        now = self._clock.now()
        verification = self._verifications.get(verification_id) if is_order_id(verification_id) else None
        if verification is None or verification.client != client:
            raise ResourceNotFoundError("No such resource, or it belongs to another client")
        if fingerprint is not None and any(resend.key == fingerprint for resend in _sent(verification)):
            return ResendResult(verification, replayed=True)
        refusal = self._find_refusal(verification, at=now)
        if refusal is not None:
            raise refusal
        resend = Resend(id=self._new_id(), at=now, key=fingerprint)
        return ResendResult(self._send(verification, resend), replayed=False)

    def _find_refusal(self, verification: Verification, *, at: datetime) -> SwitchboardError | None:
        names = verification.names
        if verification.mode is not VerificationMode.SMS_CODE:
            return InvalidRequestError(FieldProblem("verification_id", "names a verification without SMS", "conflict"))
        state = status_of(verification, deadlines=self._deadlines, now=at).state
        if state is VerificationState.VERIFIED:
            return AlreadyVerifiedError("A verified number needs no code. Nothing was sent", names)
        if state is VerificationState.CANCELED:
            return VerificationCanceledError("No code verifies it any more. Start a new verification", names)
        if state in {VerificationState.EXPIRED, VerificationState.REJECTED} or at >= verification.expires_at:
            return VerificationExpiredError("The verification is over. Start a new one", names)
        if verification.attempts_left == 0:
            return TooManyAttemptsError(f"All {MAX_ATTEMPTS} attempts for this verification are used", names)
        if verification.resends_used >= MAX_RESENDS or len(verification.resends) >= MAX_RECORDED_RESENDS:
            return ResendsExhaustedError(f"All {MAX_RESENDS} resends of this verification are used", names)
        wait = verification.sent_at + RESEND_AFTER - at
        if wait.total_seconds() > 0:
            return ResendTooSoonError(
                "The last SMS was sent a moment ago. Repeat the request after the time in Retry-After",
                names,
                retry_after_s=math.ceil(wait.total_seconds()),
            )
        return None

    def _send(self, verification: Verification, resend: Resend) -> Verification:
        channel = _build_channel(verification, resend)
        prepared = self._submission.prepare(channel)
        weight = channel.weight
        self._limits.reserve(recipient=channel.recipient, client=channel.client, weight=weight, at=resend.at)
        answer = self._channels.claim_resend(verification, channel, resend)
        if not answer.granted:
            self._refund(channel, weight, at=resend.at)
            raise self._find_decided(verification, at=resend.at)
        sent = replace(verification, resends=(*verification.resends, resend))
        try:
            attempt = self._submission.run(channel, channel.claims[-1], prepared=prepared)
        except ConfigurationError:
            # Nothing was sent.
            self._take_back(sent, resend, channel, weight)
            raise
        kind = attempt.outcome.kind
        may_fall_back = attempt.order.survives_rejection and verification.falls_back_at is not None
        goes_on = kind is OutcomeKind.REJECTED and may_fall_back
        if kind in {OutcomeKind.NOT_SENT, OutcomeKind.REJECTED} and not goes_on and attempt.error is not None:
            self._take_back(sent, resend, channel, weight)
            raise SubmissionFailedError(attempt.error, verification.names) from attempt.error
        put_fallback(self._fallbacks, sent, at_once=goes_on)
        return sent

    def _take_back(self, sent: Verification, resend: Resend, channel: Verification, weight: int) -> None:
        """Let the older code be valid again: nothing of the new one was sent."""
        with suppress(StoreError):
            self._channels.record_unsent_resend(sent.id, resend, place=len(sent.resends) - 1)
        self._refund(channel, weight, at=resend.at)

    def _refund(self, channel: Verification, weight: int, *, at: datetime) -> None:
        # One too many counted is the safe side.
        with suppress(StoreError):
            self._limits.refund(recipient=channel.recipient, client=channel.client, weight=weight, at=at)

    def _find_decided(self, verification: Verification, *, at: datetime) -> SwitchboardError:
        """Return why the claim was refused, by the facts that came meanwhile."""
        current = self._verifications.get(verification.id) or verification
        message = "Another request about this verification is still under way. Repeat the request in a few seconds"
        return self._find_refusal(current, at=at) or RequestInProgressError(message, verification.names)


def _sent(verification: Verification) -> list[Resend]:
    return [resend for resend in verification.resends if not resend.unsent]


def _build_channel(verification: Verification, resend: Resend) -> Verification:
    """Build the channel of a new SMS. Its id and its code follow from how often the verification was resent."""
    generation = len(verification.resends) + 2
    return Verification(
        id=channel_id(verification.id, generation=generation),
        client=verification.client,
        recipient=verification.recipient,
        fingerprint=verification.fingerprint,
        created_at=resend.at,
        submit_before=verification.expires_at,
        content=verification.content,
        claims=(Claim(id=resend.id, at=resend.at),),
        mode=VerificationMode.SMS_CODE,
        line=verification.line,
        holding_minutes=verification.holding_minutes,
        recipe=verification.recipe,
        fallback=verification.fallback,
        parent_id=verification.id,
        ends_at=verification.expires_at,
        first_generation=generation,
    )

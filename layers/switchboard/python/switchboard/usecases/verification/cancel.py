"""Cancel a verification for its caller, and give its line free."""

from __future__ import annotations

from switchboard.domain.errors import AlreadyVerifiedError, OrderError, ResourceNotFoundError, VerificationExpiredError
from switchboard.domain.order_ids import is_order_id
from switchboard.domain.orders import Deadlines
from switchboard.domain.verification.verifications import Verification, status_of
from switchboard.ports.clock import Clock
from switchboard.ports.verifications import VerificationStore


class CancelVerification:
    """The use case of `DELETE /v1/verifications/{verification_id}`.

    Nothing verifies a canceled verification afterwards. The provider has no request for it: a phone may still ring.
    """

    def __init__(self, *, verifications: VerificationStore, clock: Clock, deadlines: Deadlines) -> None:
        self._verifications = verifications
        self._clock = clock
        self._deadlines = deadlines

    def __call__(self, verification_id: str, *, client: str) -> Verification:
        """Return the canceled verification. A repetition returns the same, and releases the line if that had failed.

        Raises:
            ResourceNotFoundError: this client has no such verification.
            AlreadyVerifiedError: it has succeeded before.
            VerificationExpiredError: it has expired, or the provider has rejected it.
            StoreUnavailableError: a repetition completes what was done.
        """
        now = self._clock.now()
        verification = self._verifications.get(verification_id) if is_order_id(verification_id) else None
        if verification is None or verification.client != client:
            raise ResourceNotFoundError("No such resource, or it belongs to another client")
        status = status_of(verification, deadlines=self._deadlines, now=now)
        if not status.final:
            answer = self._verifications.record_canceled(verification.id, at=now)
            verification = answer.verification or verification
        if verification.canceled_at is None:
            raise _build_refusal(verification)
        self._verifications.release_line(verification)
        return verification


def _build_refusal(verification: Verification) -> OrderError:
    """Build the error of a verification that was over before it could be canceled."""
    if verification.verified_at is not None:
        return AlreadyVerifiedError("A verified number stays verified: nothing was canceled", verification.names)
    return VerificationExpiredError("The verification was over before: nothing was canceled", verification.names)

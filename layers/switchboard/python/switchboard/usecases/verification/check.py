"""Compare the code that a caller sends with the code that the provider read out."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from switchboard.domain.errors import (
    CodeNotReadyError,
    FieldProblem,
    InvalidRequestError,
    ResourceNotFoundError,
    TooManyAttemptsError,
    VerificationExpiredError,
    WrongCodeError,
)
from switchboard.domain.orders import Deadlines, is_order_id
from switchboard.domain.verification.one_time_codes import matches_code
from switchboard.domain.verification.verifications import (
    MAX_ATTEMPTS,
    Verification,
    VerificationMode,
    VerificationState,
    status_of,
)
from switchboard.ports.clock import Clock
from switchboard.ports.verifications import VerificationStore

_NO_ID: Final = "-"
"""An id that no verification has."""

_OVER: Final = "The verification is over. Start a new one"


class CheckVerification:
    """The use case of `POST /v1/verifications/{verification_id}/check`.

    An attempt is counted before its code is compared, so that simultaneous guesses share the attempts that are left. A
    verification that does not exist takes as long as a wrong code.
    """

    def __init__(self, *, verifications: VerificationStore, clock: Clock, deadlines: Deadlines) -> None:
        self._verifications = verifications
        self._clock = clock
        self._deadlines = deadlines

    def __call__(self, verification_id: str, code: str, *, client: str) -> Verification:
        """Return the verification, verified, if `code` (digits) is right.

        Only the first four errors count no attempt.

        Raises:
            ResourceNotFoundError: this client has no such verification.
            InvalidRequestError: the verification is not of mode call_out.
            CodeNotReadyError: the provider has not reported the code yet.
            VerificationExpiredError: the verification is over.
            TooManyAttemptsError: all attempts are used.
            WrongCodeError: the code does not match.
            StoreUnavailableError: the store gave no answer. The attempt may have been counted.
        """
        now = self._clock.now()
        verification = self._find(verification_id, client=client)
        if verification is not None:
            self._require_open(verification, now=now)
        counted = self._verifications.count_attempt(_NO_ID if verification is None else verification.id)
        matches = matches_code(code, counted.code if counted else None)
        if verification is None:
            raise ResourceNotFoundError("No such resource, or it belongs to another client")
        if counted is None:
            raise TooManyAttemptsError(
                f"All {MAX_ATTEMPTS} attempts for this verification are used", verification.names
            )
        if not matches:
            raise _build_wrong_code_error(counted)
        if counted.verified_at is not None:
            return counted
        verified = self._verifications.record_checked(verification.id, at=now)
        if verified is None:
            raise VerificationExpiredError(_OVER, verification.names)
        return verified

    def _find(self, verification_id: str, *, client: str) -> Verification | None:
        verification = self._verifications.get(verification_id if is_order_id(verification_id) else _NO_ID)
        return verification if verification is not None and verification.client == client else None

    def _require_open(self, verification: Verification, *, now: datetime) -> None:
        if verification.mode is not VerificationMode.CALL_OUT:
            problem = FieldProblem("verification_id", "names a verification without a code", "conflict")
            raise InvalidRequestError(problem)
        state = status_of(verification, deadlines=self._deadlines, now=now).state
        if state in {VerificationState.EXPIRED, VerificationState.REJECTED}:
            raise VerificationExpiredError(_OVER, verification.names)
        if verification.code is None:
            message = "The provider has not reported the code yet. Repeat the check in a few seconds"
            raise CodeNotReadyError(message, verification.names)


def _build_wrong_code_error(counted: Verification) -> WrongCodeError:
    left = counted.attempts_left or 0
    message = f"The code does not match. {left} attempt{'' if left == 1 else 's'} left"
    return WrongCodeError(message, counted.names, attempts_left=left)

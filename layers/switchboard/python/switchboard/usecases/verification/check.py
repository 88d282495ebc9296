"""Compare the code that a caller was told with the one that was read out."""

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
from switchboard.domain.verification.verifications import Verification, VerificationMode, VerificationState, status_of
from switchboard.ports.clock import Clock
from switchboard.ports.verifications import VerificationStore
from switchboard.usecases.insistence import insist

NOBODY: Final = "-"
"""No verification's id."""


class CheckVerification:
    """The callers' verb. An attempt is counted before its code is looked at, so that guesses made at once share what
    is left of the attempts. What is not there costs as much as a wrong code."""

    def __init__(self, *, verifications: VerificationStore, clock: Clock, deadlines: Deadlines) -> None:
        self._verifications = verifications
        self._clock = clock
        self._deadlines = deadlines

    def __call__(self, verification_id: str, code: str, *, client: str) -> Verification:
        """The verification, verified. `code` is digits.

        Raises ResourceNotFoundError, InvalidRequestError (it is not of mode call_out), CodeNotReadyError,
        VerificationExpiredError: all of them uncounted; TooManyAttemptsError, WrongCodeError, StoreUnavailableError.
        """
        now = self._clock.now()
        own = self._own(verification_id, client=client)
        if own is not None:
            self._require_open(own, now=now)
        counted = self._verifications.count_attempt(NOBODY if own is None else own.id)
        right = matches_code(code, counted.code if counted else None)
        if own is None:
            raise ResourceNotFoundError("nothing here has this id")
        if counted is None:
            raise TooManyAttemptsError("as many codes have been tried as may be", own.names)
        if not right:
            raise WrongCodeError("it is another code", own.names, attempts_left=counted.attempts_left or 0)
        if counted.verified_at is not None:
            return counted
        verified = insist(lambda: self._verifications.record_checked(own.id, at=now))
        if verified is None:
            raise VerificationExpiredError("the time for this verification has passed", own.names)
        return verified

    def _own(self, verification_id: str, *, client: str) -> Verification | None:
        asked = verification_id if is_order_id(verification_id) else NOBODY
        found = insist(lambda: self._verifications.get(asked))
        return found if found is not None and found.client == client else None

    def _require_open(self, own: Verification, *, now: datetime) -> None:
        if own.mode is not VerificationMode.CALL_OUT:
            problem = FieldProblem("verification_id", "is of a verification without a code", "conflict")
            raise InvalidRequestError(problem)
        state = status_of(own, deadlines=self._deadlines, now=now).state
        if state in {VerificationState.EXPIRED, VerificationState.REJECTED}:
            raise VerificationExpiredError("the verification is over", own.names)
        if own.code is None:
            raise CodeNotReadyError("the provider has not reported a code yet", own.names)

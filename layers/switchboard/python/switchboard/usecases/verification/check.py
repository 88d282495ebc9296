"""Compare the code that a caller sends with the one that was sent, or that the provider read out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from switchboard.domain.errors import (
    AlreadyVerifiedError,
    CodeNotReadyError,
    FieldProblem,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    ResourceNotFoundError,
    SwitchboardError,
    TooManyAttemptsError,
    VerificationCanceledError,
    VerificationExpiredError,
    WrongCodeError,
    WrongCodeLimitError,
)
from switchboard.domain.order_ids import is_order_id
from switchboard.domain.orders import Deadlines
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.one_time_codes import derive_code, equals_code, matches_hash
from switchboard.domain.verification.verifications import (
    CODE_MODES,
    MAX_ATTEMPTS,
    REPLAY_WITHIN,
    CodeCheck,
    Verification,
    VerificationState,
    channel_id,
    status_of,
)
from switchboard.ports.callbacks import CodeKeys
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.verifications import ChannelStore, VerificationStore, WriteAnswer, WrongCodeLimit
from switchboard.usecases.submission.submit_once import derive_id

_NO_ID: Final = "-"
"""An id of no verification, and a number of no telephone."""

_NOT_READY: Final = "The provider has not reported the code yet. Repeat the check in a few seconds"
_OVER: Final = "The verification is over. Start a new one"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verified verification. `replayed` is True if an earlier check with the same idempotency key verified it."""

    verification: Verification
    replayed: bool


class CheckVerification:
    """The use case of `POST /v1/verifications/{verification_id}/check`.

    The code is compared in memory. Right or wrong, two writes follow before the caller learns anything: one to the
    counter of wrong codes for the number, and one to the verification. Each refuses if its limit is reached. The order
    of these writes decides between simultaneous checks: guesses gain nothing by being many at once, at one verification
    or at a hundred of one number.

    A verification that does not exist takes as long as a wrong code.
    """

    def __init__(
        self,
        *,
        verifications: VerificationStore,
        channels: ChannelStore,
        code_keys: CodeKeys,
        wrong_codes: WrongCodeLimit,
        clock: Clock,
        new_id: ClaimIds,
        deadlines: Deadlines,
    ) -> None:
        self._verifications = verifications
        self._channels = channels
        self._code_keys = code_keys
        self._wrong_codes = wrong_codes
        self._clock = clock
        self._new_id = new_id
        self._deadlines = deadlines

    def __call__(self, verification_id: str, code: str, *, client: str, key: str | None = None) -> CheckResult:
        """Return the verification, verified, if `code` (digits) is right and no other check verified it before.

        Only WrongCodeError counts towards the attempts and towards the limit of wrong codes.

        Args:
            verification_id: the id as the caller wrote it.
            code: the code's digits.
            client: the API key's id.
            key: the idempotency key. Within ten minutes the check that succeeded with it is answered again.

        Raises:
            ResourceNotFoundError: this client has no such verification.
            InvalidRequestError: the verification has no code.
            VerificationExpiredError: the verification is over.
            AlreadyVerifiedError: another check has verified it.
            IdempotencyKeyReusedError: the key belongs to a successful check of another code.
            VerificationCanceledError: the caller has canceled it.
            TooManyAttemptsError: all attempts are used.
            CodeNotReadyError: the provider has not reported the code yet.
            WrongCodeLimitError: too many wrong codes were sent for this number.
            WrongCodeError: the code does not match.
            StoreUnavailableError: a store gave no answer. The code may have been counted as wrong.
        """
        fingerprint = None if key is None else derive_id(client=client, key=key)
        check = CodeCheck(id=self._new_id(), at=self._clock.now(), key=fingerprint)
        verification = self._find(verification_id, client=client)
        if verification is None:
            self._imitate_wrong_code(code, at=check.at)
            raise ResourceNotFoundError("No such resource, or it belongs to another client")
        replay = self._find_replay(verification, code, check)
        if replay is not None:
            return replay
        return self._compare(verification, code, check)

    def _compare(self, verification: Verification, code: str, check: CodeCheck) -> CheckResult:
        call = self._find_call(verification)
        refusal = self._find_refusal(verification, call, at=check.at)
        if refusal is not None:
            raise refusal
        recipe = verification.recipe
        if recipe is not None and call is not None and call.code is None and len(code) != recipe.length:
            # It cannot be the code of the SMS, so that no guess of that one goes uncounted.
            raise CodeNotReadyError(_NOT_READY, verification.names)
        by = self._find_matching_mode(verification, call, code)
        try:
            answer = self._record(verification, replace(check, by=by, resends=len(verification.resends)))
        except WrongCodeLimitError as limit:
            # Simultaneous checks may have decided the verification. Then its own state is the better answer.
            return self._answer_decided(self._verifications.get(verification.id) or verification, code, check, limit)
        current = answer.verification or verification
        if not answer.written:
            if len(current.resends) > len(verification.resends):
                # A resend has ended the code that it was compared with.
                return self._compare(current, code, check)
            over = VerificationExpiredError(_OVER, current.names)
            return self._answer_decided(current, code, check, over)
        if by is None:
            raise _build_wrong_code_error(current)
        return CheckResult(verification=current, replayed=False)

    def _find_call(self, verification: Verification) -> Verification | None:
        """Return the channel whose code the provider reads out, or None if there is none."""
        if verification.mode is VerificationMode.CALL_OUT:
            return verification
        fallback = verification.fallback
        if fallback is None or fallback.called_at is None:
            return None
        return self._channels.get(channel_id(verification.id))

    def _find_matching_mode(
        self, verification: Verification, call: Verification | None, code: str
    ) -> VerificationMode | None:
        """Return the mode of the channel whose live code this is, or None if no channel has it."""
        recipe, read_out = verification.recipe, call.code if call is not None else None
        if recipe is not None:
            derived = derive_code(
                self._code_keys.find(recipe.key_version),
                verification_id=verification.id,
                generation=verification.generation,
                length=recipe.length,
                test=verification.test,
            )
            if equals_code(code, derived):
                return VerificationMode.SMS_CODE
        if call is not None and read_out is not None:
            key = self._code_keys.find(read_out.key_version)
            if matches_hash(key, code, read_out, verification_id=call.id):
                return VerificationMode.CALL_OUT
        return None

    def _find(self, verification_id: str, *, client: str) -> Verification | None:
        verification = self._verifications.get(verification_id if is_order_id(verification_id) else _NO_ID)
        return verification if verification is not None and verification.client == client else None

    def _imitate_wrong_code(self, code: str, *, at: datetime) -> None:
        """Make the same calls as for a wrong code, which find nothing."""
        equals_code(code, derive_code(self._code_keys.current(), verification_id=_NO_ID, generation=1, length=6))
        with suppress(WrongCodeLimitError):
            self._wrong_codes.count(recipient=_NO_ID, at=at)
        self._verifications.record_wrong_code(_NO_ID, at=at)

    def _find_replay(self, verification: Verification, code: str, check: CodeCheck) -> CheckResult | None:
        """Return the answer of the successful check that had the same idempotency key, or None if there is none."""
        first = verification.check
        if first is None or check.key is None or first.key != check.key:
            return None
        if check.at >= min(first.at + REPLAY_WITHIN, verification.expires_at):
            return None
        by = self._find_matching_mode(verification, self._find_call(verification), code)
        if by is not (first.by or verification.mode):
            raise IdempotencyKeyReusedError("This key belongs to another request. Use a new key", verification.names)
        return CheckResult(verification=verification, replayed=True)

    def _find_refusal(
        self, verification: Verification, call: Verification | None, *, at: datetime
    ) -> SwitchboardError | None:
        """Return the error of a verification whose code cannot be compared at `at`, or None if it can."""
        names = verification.names
        if verification.mode not in CODE_MODES:
            return InvalidRequestError(
                FieldProblem("verification_id", "names a verification without a code", "conflict")
            )
        state = status_of(verification, deadlines=self._deadlines, now=at).state
        is_over = state in {VerificationState.EXPIRED, VerificationState.REJECTED}
        if is_over or at >= verification.expires_at:
            return VerificationExpiredError(_OVER, names)
        if state is VerificationState.VERIFIED:
            return AlreadyVerifiedError("A code verifies one caller, once. Start a new verification", names)
        if state is VerificationState.CANCELED:
            return VerificationCanceledError("No code verifies it any more. Start a new verification", names)
        if verification.attempts_left == 0:
            return TooManyAttemptsError(f"All {MAX_ATTEMPTS} attempts for this verification are used", names)
        if verification.recipe is None and (call is None or call.code is None):
            return CodeNotReadyError(_NOT_READY, names)
        return None

    def _record(self, verification: Verification, check: CodeCheck) -> WriteAnswer:
        """Record the result of the comparison, which the caller does not know yet."""
        # Test clients share the numbers, and no limit of theirs is a real one.
        number = f"test#{verification.client}#{verification.recipient}" if verification.test else verification.recipient
        if check.by is not None:
            self._wrong_codes.require_below(recipient=number, at=check.at)
            return self._verifications.record_right_code(verification.id, check)
        self._wrong_codes.count(recipient=number, at=check.at)
        return self._verifications.record_wrong_code(verification.id, at=check.at)

    def _answer_decided(
        self, current: Verification, code: str, check: CodeCheck, otherwise: SwitchboardError
    ) -> CheckResult:
        """Answer a check whose result was not recorded, by the verification's current facts or with `otherwise`."""
        replay = self._find_replay(current, code, check)
        if replay is None:
            raise self._find_refusal(current, self._find_call(current), at=check.at) or otherwise
        return replay


def _build_wrong_code_error(counted: Verification) -> WrongCodeError:
    left = counted.attempts_left or 0
    message = f"The code does not match. {left} attempt{'' if left == 1 else 's'} left"
    return WrongCodeError(message, counted.names, attempts_left=left)

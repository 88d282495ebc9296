"""Start one verification for a caller, on the first of its lines that is free."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from switchboard.domain.errors import StoreError, VerificationOpenError
from switchboard.domain.orders import Claim, OutcomeKind, Status
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.requests import ComposedVerification
from switchboard.domain.verification.verifications import (
    START_WITHIN,
    CodeRecipe,
    Verification,
    VerificationState,
)
from switchboard.ports.callbacks import CodeKeys
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.verifications import FallbackQueue
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derive_id, fingerprint

VerificationStatus = Status[VerificationState]

_MAX_QUEUE_DELAY_S: Final = 900


@dataclass(frozen=True, slots=True)
class StartVerificationCommand:
    """A valid request. `client` names the API key, `test` says that it is a test key."""

    client: str
    request: ComposedVerification
    idempotency_key: str | None = None
    test: bool = False


class StartVerification:
    """The use case of `POST /v1/verifications`."""

    def __init__(
        self,
        *,
        submit_once: SubmitOnce[Verification, VerificationStatus],
        code_keys: CodeKeys,
        fallbacks: FallbackQueue,
        clock: Clock,
        new_id: ClaimIds,
    ) -> None:
        self._submit_once = submit_once
        self._code_keys = code_keys
        self._fallbacks = fallbacks
        self._clock = clock
        self._new_id = new_id

    def __call__(self, command: StartVerificationCommand) -> SubmissionResult[Verification, VerificationStatus]:
        """Start the verification, or replay the request that started it before. Raises what SubmitOnce raises.

        A verification that was placed before keeps its line, also if it is tried again.

        Raises:
            VerificationOpenError: none of the lines is free for this number.
            StoreUnavailableError: also if the code key cannot be read. Nothing was sent.
        """
        key = command.idempotency_key
        verification_id = self._new_id() if key is None else derive_id(client=command.client, key=key)
        errors = []
        for line in command.request.candidates:
            try:
                result = self._submit_once(self._build_verification(command, verification_id, line))
            except VerificationOpenError as error:
                errors.append(error)
                continue
            if not result.replayed:
                outcome = result.order.last_outcome
                rejected = outcome is not None and outcome.kind is OutcomeKind.REJECTED
                put_fallback(self._fallbacks, result.order, at_once=rejected)
            return result
        raise min(errors, key=lambda error: error.retry_after_s)

    def _build_verification(self, command: StartVerificationCommand, verification_id: str, line: str) -> Verification:
        now, request = self._clock.now(), command.request
        recipe = None
        if request.code_length is not None:
            key = self._code_keys.current()
            recipe = CodeRecipe(length=request.code_length, key_version=key.version, origin=request.origin)
        return Verification(
            id=verification_id,
            client=command.client,
            recipient=request.recipient.e164,
            fingerprint=fingerprint_of(command),
            reference=request.reference,
            created_at=now,
            submit_before=now + START_WITHIN,
            content=request.content,
            claims=(Claim(id=self._new_id(), at=now),),
            mode=request.mode,
            line=line,
            lines=request.lines,
            holding_minutes=request.holding_minutes,
            repeat_calls=request.repeat_calls if request.mode is VerificationMode.CALL_OUT else None,
            recipe=recipe,
            fallback=request.fallback,
            test=command.test,
        )


def put_fallback(fallbacks: FallbackQueue, verification: Verification, *, at_once: bool) -> None:
    """Put the verification into the queue for its fallback, if it has one: for now, or for its time."""
    falls_back_at = verification.falls_back_at
    if falls_back_at is None:
        return
    wait_s = 0 if at_once else round((falls_back_at - verification.sent_at).total_seconds())
    # The sweep finds the verification if its entry is lost.
    with suppress(StoreError):
        fallbacks.put_fallback(verification.id, delay_s=min(wait_s, _MAX_QUEUE_DELAY_S))


def fingerprint_of(command: StartVerificationCommand) -> str:
    """Hash the request. Two requests have equal fingerprints only if they ask for the same verification."""
    request, code = command.request, {}
    if request.code_length is not None:
        fallback = None if request.fallback is None else request.fallback.after.total_seconds()
        code = {"code_length": request.code_length, "origin": request.origin, "fallback": fallback}
    return fingerprint(
        {
            **code,
            "client": command.client,
            "recipient": request.recipient.e164,
            "mode": request.mode,
            "lines": request.lines,
            "line": request.line,
            "holding_minutes": request.holding_minutes,
            "repeat_calls": request.repeat_calls,
            "content": asdict(request.content) if request.content else None,
            "key": command.idempotency_key,
        },
        reference=request.reference,
    )

"""Start one verification by telephone for a caller, on the first of its lines that is free."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from switchboard.domain.errors import VerificationOpenError
from switchboard.domain.orders import Claim, Status
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.requests import ComposedVerification
from switchboard.domain.verification.verifications import START_WITHIN, Verification, VerificationState
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derive_id, fingerprint

VerificationStatus = Status[VerificationState]


@dataclass(frozen=True, slots=True)
class StartVerificationCommand:
    """A valid request. `client` names the API key."""

    client: str
    request: ComposedVerification
    idempotency_key: str | None = None


class StartVerification:
    """The use case of `POST /v1/verifications`."""

    def __init__(
        self, *, submit_once: SubmitOnce[Verification, VerificationStatus], clock: Clock, new_id: ClaimIds
    ) -> None:
        self._submit_once = submit_once
        self._clock = clock
        self._new_id = new_id

    def __call__(self, command: StartVerificationCommand) -> SubmissionResult[Verification, VerificationStatus]:
        """Start the verification, or replay the request that started it before. Raises what SubmitOnce raises.

        A verification that was placed before keeps its line, also if it is tried again.

        Raises:
            VerificationOpenError: none of the lines is free for this number.
        """
        key = command.idempotency_key
        verification_id = self._new_id() if key is None else derive_id(client=command.client, key=key)
        errors = []
        for line in command.request.candidates:
            try:
                return self._submit_once(self._build_verification(command, verification_id, line))
            except VerificationOpenError as error:
                errors.append(error)
        raise min(errors, key=lambda error: error.retry_after_s)

    def _build_verification(self, command: StartVerificationCommand, verification_id: str, line: str) -> Verification:
        now, request = self._clock.now(), command.request
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
        )


def fingerprint_of(command: StartVerificationCommand) -> str:
    """Hash the request. Two requests have equal fingerprints only if they ask for the same verification."""
    request = command.request
    return fingerprint(
        {
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

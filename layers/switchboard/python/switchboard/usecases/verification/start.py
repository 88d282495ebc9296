"""Start one verification by telephone for a caller, on the first of its lines that is free."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from switchboard.domain.errors import VerificationOpenError
from switchboard.domain.orders import Claim
from switchboard.domain.verification.requests import ComposedVerification
from switchboard.domain.verification.verifications import START_WITHIN, Verification, VerificationMode
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derived_id, fingerprint


@dataclass(frozen=True, slots=True)
class StartVerificationCommand:
    """A valid request. `client` names the API key."""

    client: str
    request: ComposedVerification
    idempotency_key: str | None = None


class StartVerification:
    """The callers' verb."""

    def __init__(self, *, submit_once: SubmitOnce[Verification], clock: Clock, new_id: ClaimIds) -> None:
        self._submit_once = submit_once
        self._clock = clock
        self._new_id = new_id

    def __call__(self, command: StartVerificationCommand) -> SubmissionResult[Verification]:
        """Raises what SubmitOnce does, and VerificationOpenError where none of the lines is free for this number.

        One that was placed before keeps the line it has, also when it is tried again.
        """
        key = command.idempotency_key
        verification_id = self._new_id() if key is None else derived_id(client=command.client, key=key)
        taken = []
        for line in command.request.candidates:
            try:
                return self._submit_once(self._new_verification(command, verification_id, line))
            except VerificationOpenError as error:
                taken.append(error)
        raise min(taken, key=lambda error: error.retry_after_s)

    def _new_verification(self, command: StartVerificationCommand, verification_id: str, line: str) -> Verification:
        now, asked = self._clock.now(), command.request
        return Verification(
            id=verification_id,
            client=command.client,
            recipient=asked.recipient.e164,
            fingerprint=fingerprint_of(command),
            created_at=now,
            submit_before=now + START_WITHIN,
            content=asked.content,
            claims=(Claim(id=self._new_id(), at=now),),
            mode=asked.mode,
            line=line,
            lines=asked.lines,
            holding_minutes=asked.holding_minutes,
            repeat_calls=asked.repeat_calls if asked.mode is VerificationMode.CALL_OUT else None,
        )


def fingerprint_of(command: StartVerificationCommand) -> str:
    """Equal for two requests that ask for the same verification, and for no others."""
    asked = command.request
    return fingerprint(
        {
            "client": command.client,
            "recipient": asked.recipient.e164,
            "mode": asked.mode,
            "lines": asked.lines,
            "line": asked.line,
            "holding_minutes": asked.holding_minutes,
            "repeat_calls": asked.repeat_calls,
            "content": asdict(asked.content) if asked.content else None,
            "key": command.idempotency_key,
        }
    )

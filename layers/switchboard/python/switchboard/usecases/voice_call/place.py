"""Place one voice notice for a caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from switchboard.domain.orders import Claim, Status
from switchboard.domain.voice_calls import PreparedCall, VoiceCall, VoiceCallContent, VoiceCallState, submit_before
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derive_id, fingerprint

Compose = Callable[[str, VoiceCallContent], str]
"""Writes the request's body for a recipient (E.164) and a content, without I/O. Raises InvalidRequestError."""


@dataclass(frozen=True, slots=True)
class PlaceCallCommand:
    """A request. `recipient` is E.164; `client` names the API key, `test` says that it is a test key."""

    client: str
    recipient: str
    content: VoiceCallContent
    idempotency_key: str | None = None
    reference: str | None = None
    test: bool = False


class PlaceCall:
    """The use case of `POST /v1/calls`. `callback_expected` says that the provider is set up to report call results."""

    def __init__(
        self,
        *,
        submit_once: SubmitOnce[VoiceCall, Status[VoiceCallState]],
        compose: Compose,
        clock: Clock,
        new_id: ClaimIds,
        callback_expected: bool,
    ) -> None:
        self._submit_once = submit_once
        self._compose = compose
        self._clock = clock
        self._new_id = new_id
        self._callback_expected = callback_expected

    def __call__(self, command: PlaceCallCommand) -> SubmissionResult[VoiceCall, Status[VoiceCallState]]:
        """Place the call, or replay the request that placed it before. Raises what SubmitOnce raises.

        Raises:
            InvalidRequestError: also if the provider takes no such call.
        """
        now, key, content = self._clock.now(), command.idempotency_key, command.content
        voice_call = VoiceCall(
            id=self._new_id() if key is None else derive_id(client=command.client, key=key),
            client=command.client,
            recipient=command.recipient,
            fingerprint=fingerprint_of(command),
            reference=command.reference,
            created_at=now,
            submit_before=submit_before(now),
            content=PreparedCall(self._compose(command.recipient, content)),
            claims=(Claim(id=self._new_id(), at=now),),
            template_id=content.template_id,
            play_times=content.play_times,
            volume=content.volume,
            tag=content.tag,
            show_number=content.show_number,
            callback_expected=self._callback_expected,
            test=command.test,
        )
        return self._submit_once(voice_call)


def fingerprint_of(command: PlaceCallCommand) -> str:
    """Hash the request. Two requests have equal fingerprints only if they ask for the same call."""
    return fingerprint(
        {
            "client": command.client,
            "recipient": command.recipient,
            "content": asdict(command.content),
            "key": command.idempotency_key,
        },
        reference=command.reference,
    )

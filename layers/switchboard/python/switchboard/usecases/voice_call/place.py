"""Place one voice notice for a caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from switchboard.domain.orders import Claim
from switchboard.domain.voice_calls import PreparedCall, VoiceCall, VoiceCallContent, submit_before
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derived_id, fingerprint

Compose = Callable[[str, VoiceCallContent], str]
"""From a recipient in E.164 and what is to be said, the request's body. Raises InvalidRequestError. No I/O."""


@dataclass(frozen=True, slots=True)
class PlaceCallCommand:
    """A request. `recipient` is E.164; `client` names the API key."""

    client: str
    recipient: str
    content: VoiceCallContent
    idempotency_key: str | None = None


class PlaceCall:
    """The callers' verb. `callback_expected`: the provider is set up to report what becomes of calls."""

    def __init__(
        self,
        *,
        submit_once: SubmitOnce[VoiceCall],
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

    def __call__(self, command: PlaceCallCommand) -> SubmissionResult[VoiceCall]:
        """Raises what SubmitOnce does; InvalidRequestError also where the provider takes no such call."""
        now, key, content = self._clock.now(), command.idempotency_key, command.content
        call = VoiceCall(
            id=self._new_id() if key is None else derived_id(client=command.client, key=key),
            client=command.client,
            recipient=command.recipient,
            fingerprint=fingerprint_of(command),
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
        )
        return self._submit_once(call)


def fingerprint_of(command: PlaceCallCommand) -> str:
    """Equal for two requests that ask for the same call, and for no others."""
    return fingerprint(
        {
            "client": command.client,
            "recipient": command.recipient,
            "content": asdict(command.content),
            "key": command.idempotency_key,
        }
    )

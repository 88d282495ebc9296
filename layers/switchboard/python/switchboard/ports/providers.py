"""What a provider is asked to submit, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from switchboard.domain.sms.messages import SmsSubmission

S_contra = TypeVar("S_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's synchronous answer: accepted, never delivered. `facts` is what it told besides, under our own names
    (a call's id at the provider, for one); `verified` is False where the answer's body could not be read as the
    document says and the HTTP status alone said so."""

    provider_code: str | None = None
    verified: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)


class Submitter(Protocol[S_contra]):
    """Submits to one provider. `S` is what is submitted: an SmsSubmission, a VoiceCallSubmission ..."""

    def check(self, submission: S_contra) -> None:
        """Raises InvalidRequestError where the provider's document does not take it. No I/O."""
        ...

    def open(self) -> None:
        """Has a connection ready that can be used for another half second at least. Raises NotSentError."""
        ...

    def submit(self, submission: S_contra) -> Receipt:
        """Submits once, never again by itself. Raises the ProviderError tree."""
        ...


SmsProvider = Submitter[SmsSubmission]

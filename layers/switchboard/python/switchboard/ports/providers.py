"""What a provider of messages is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from switchboard.domain.messages import SmsContent


@dataclass(frozen=True, slots=True)
class SmsSubmission:
    """One SMS as every provider is asked for it. `recipient` is E.164."""

    smsid: str
    recipient: str
    content: SmsContent


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's synchronous answer: accepted, never delivered. `verified` is False where the answer's body
    could not be read as the document's code and the HTTP status alone said so."""

    provider_code: str
    verified: bool = True


class SmsProvider(Protocol):
    """Submits messages to one provider."""

    def check(self, submission: SmsSubmission) -> None:
        """Raises InvalidRequestError where the provider's document does not take it. No I/O."""
        ...

    def open(self) -> None:
        """Has a usable connection ready. Raises NotSentError."""
        ...

    def submit(self, submission: SmsSubmission) -> Receipt:
        """Submits once, never again by itself. Raises the ProviderError tree."""
        ...

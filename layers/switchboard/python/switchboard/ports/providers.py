"""Ports of the providers that take submissions, and the receipt that they answer with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

S_contra = TypeVar("S_contra", contravariant=True)
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's synchronous answer: accepted, never delivered.

    `facts` are the provider's further statements under our own names, such as a call's id at the provider.
    """

    provider_code: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InquiryAnswer:
    """A provider's answer to the question for an order's result.

    `status` is the provider's status code as in a report, or None if the provider does not know the id.
    """

    status: str | None


class ResultSource(Protocol):
    """A provider that can be asked for the result of an order."""

    def open(self) -> None:
        """Provide a connection that stays usable for at least another half second.

        Raises:
            NotSentError: the provider cannot be reached.
        """
        ...

    def ask(self, order_id: str) -> InquiryAnswer:
        """Request once the result of the order that was submitted under this id.

        Raises:
            ProviderError: the provider gave no result. Asking changes nothing there.
        """
        ...


class Submitter(Protocol[S_contra, P]):
    """A provider that takes submissions `S` (SmsSubmission, VoiceCallSubmission, ...) as prepared requests `P`."""

    def prepare(self, submission: S_contra) -> P:
        """Build the request for a submission, without I/O and without credentials.

        Raises:
            InvalidRequestError: the provider's document does not allow this submission.
        """
        ...

    def open(self) -> None:
        """Provide a connection that stays usable for at least another half second.

        Raises:
            NotSentError: the provider cannot be reached.
        """
        ...

    def submit(self, prepared: P) -> Receipt:
        """Submit a prepared request once. The implementation decides alone whether it may repeat the same bytes.

        Raises:
            ProviderError: the provider did not accept the request, or its outcome is unknown.
        """
        ...

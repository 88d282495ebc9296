"""Ports of the magic numbers: what answers a test order instead of its provider, and what reports on it later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from switchboard.domain.call_results import CallResult
from switchboard.domain.orders import Order
from switchboard.domain.verification.callbacks import IvrCallEvent, ParsedDeliveryReport
from switchboard.ports.providers import Receipt


@dataclass(frozen=True, slots=True)
class ScriptedEvent:
    """One callback that a magic number causes, in whole seconds after the order was submitted."""

    after_s: int
    event: ParsedDeliveryReport | IvrCallEvent | CallResult


class MagicNumbers(Protocol):
    """The numbers of test clients (docs/guides/test-clients.md). Nothing here can reach a provider."""

    def check(self, order: Order[Any]) -> None:
        """Check the number of a test order, without I/O.

        Raises:
            InvalidRequestError: it is no magic number of this kind of order.
        """
        ...

    def submit(self, order: Order[Any]) -> Receipt:
        """Put the number's events into the queue, and answer as it does.

        Raises:
            ProviderError: the number's answer is an error, or never comes.
            StoreUnavailableError: some events may not be in the queue.
        """
        ...

    def events_of(self, order: Order[Any]) -> Sequence[ScriptedEvent]:
        """Return all events of the order, without I/O. None is changed after the order's submission."""
        ...


class ScriptQueue(Protocol):
    """The queue of the events that are still to come. It carries ids, never texts or numbers."""

    def put_event(self, order_id: str, place: int, *, delay_s: int) -> None:
        """Put the event at this place of the order's events into the queue.

        Raises:
            StoreUnavailableError: the event may or may not be in the queue.
        """
        ...

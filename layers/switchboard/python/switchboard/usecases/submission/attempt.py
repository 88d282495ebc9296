"""One submission under one claim: connect, wait for the slot, send once, write down how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Generic, TypeVar

from switchboard.domain.errors import (
    ConfigurationError,
    InvalidRequestError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    SlotUnavailableError,
    StoreUnavailableError,
    SwitchboardError,
)
from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.ports.clock import Clock
from switchboard.ports.orders import OrderStore, R
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.providers import Submitter
from switchboard.usecases.submission.wait_for_slot import wait_for_slot

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class AttemptResult(Generic[R]):
    """How it ended: the order with its outcome written down, and the error that was its cause, if one was."""

    order: R
    outcome: Outcome
    error: SwitchboardError | None


class Submission(Generic[R, S]):
    """Takes a granted claim to its outcome: for every kind of orders, for a caller's request and for the queue's.

    `submission_of` tells from an order what its provider is handed. Only with `queues` does an order for which there
    is no room become the queue's.
    """

    def __init__(
        self,
        *,
        orders: OrderStore[R],
        provider: Submitter[S],
        submission_of: Callable[[R], S],
        guard: ProviderGuard,
        clock: Clock,
        wait_budget: timedelta,
        claim_lifetime: timedelta,
        queues: bool = True,
    ) -> None:
        self._orders = orders
        self._submission_of = submission_of
        self._provider = provider
        self._guard = guard
        self._clock = clock
        self._wait_budget = wait_budget
        self._claim_lifetime = claim_lifetime
        self._queues = queues

    def check(self, order: R) -> None:
        """Raises InvalidRequestError where the provider's document does not take such an order."""
        self._provider.check(self._submission_of(order))

    def run(self, order: R, claim: Claim, *, reserve_usage: Callable[[], None] = lambda: None) -> AttemptResult[R]:
        """`claim` must have been granted to this very invocation. What `reserve_usage` raises ends it before it has
        begun.

        Where the outcome cannot be written down, the table says nothing of how it ended: so the answer is `unknown`.
        """
        try:
            outcome, error = self._attempt(order, claim, reserve_usage)
        except ConfigurationError:
            # Found before anything was sent: nobody's order is to become unknown for a mistake of ours.
            unsent = Outcome(OutcomeKind.NOT_SENT, self._clock.now())
            self._write(order, claim, unsent, error=None)
            raise
        return self._write(order, claim, outcome, error=error)

    def _write(self, order: R, claim: Claim, outcome: Outcome, *, error: SwitchboardError | None) -> AttemptResult[R]:
        unsent = outcome.kind is OutcomeKind.NOT_SENT
        no_room = isinstance(error, SlotUnavailableError | RateLimitedError)
        queue = unsent and self._queues and (order.queued_at is not None or no_room)
        try:
            written = self._orders.record_outcome(order, claim, outcome, queue=queue)
        except StoreUnavailableError as unwritten:
            lost = Outcome(kind=OutcomeKind.UNKNOWN, at=outcome.at)
            unsure = replace(order, outcomes={**order.outcomes, claim.id: lost})
            return AttemptResult(order=unsure, outcome=lost, error=unwritten)
        return AttemptResult(order=written, outcome=outcome, error=error)

    def _attempt(
        self, order: R, claim: Claim, reserve_usage: Callable[[], None]
    ) -> tuple[Outcome, SwitchboardError | None]:
        try:
            reserve_usage()
            self._wait_for_slot(order, claim)
        except SwitchboardError as error:
            return self._outcome(OutcomeKind.NOT_SENT, error), error
        return self._submit(order)

    def _wait_for_slot(self, order: R, claim: Claim) -> None:
        latest = min(self._clock.now() + self._wait_budget, claim.at + self._claim_lifetime, order.submit_before)
        wait_for_slot(self._guard, self._clock, connect=self._provider.open, latest=latest)

    def _submit(self, order: R) -> tuple[Outcome, SwitchboardError | None]:
        error: ProviderError | None = None
        try:
            receipt = self._provider.submit(self._submission_of(order))
        except ProviderError as raised:
            error = raised
        except InvalidRequestError as raised:
            # Accepted once, and no longer: the configuration has changed while it was waiting. Nothing was sent.
            return self._outcome(OutcomeKind.REJECTED, raised), raised
        except StoreUnavailableError as raised:
            # The credentials could not be read, which comes before the first byte.
            return self._outcome(OutcomeKind.NOT_SENT, raised), raised
        self._record_result(error)
        if error is None:
            return Outcome(OutcomeKind.ACCEPTED, self._clock.now(), receipt.provider_code, receipt.facts), None
        return self._outcome(_kind_of(error), error), error

    def _record_result(self, error: ProviderError | None) -> None:
        try:
            self._guard.record_result(error)
        except StoreUnavailableError:
            # The outcome matters more than the circuit's count, and the next reservation fails closed anyway.
            return

    def _outcome(self, kind: OutcomeKind, error: SwitchboardError) -> Outcome:
        if not isinstance(error, ProviderError):
            return Outcome(kind=kind, at=self._clock.now())
        facts = {"request_id": error.request_id} if error.request_id is not None else {}
        return Outcome(kind=kind, at=self._clock.now(), provider_code=error.provider_code, facts=facts)


def _kind_of(error: ProviderError) -> OutcomeKind:
    if not error.outcome_known or isinstance(error, OutcomeUnknownError):
        return OutcomeKind.UNKNOWN
    return OutcomeKind.REJECTED if isinstance(error, RefusedError) else OutcomeKind.NOT_SENT

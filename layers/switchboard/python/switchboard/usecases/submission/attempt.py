"""Submit one order under one claim: connect, wait for the slot, send once, record the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Generic, TypeVar

from switchboard.domain.errors import (
    ConfigurationError,
    InvalidRequestError,
    LimitExceededError,
    OrderOverError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RecipientSuppressedError,
    RefusedError,
    SlotUnavailableError,
    StoreError,
    SwitchboardError,
)
from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.ports.clock import Clock
from switchboard.ports.magic_numbers import MagicNumbers
from switchboard.ports.orders import OrderStore, R
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.providers import P, Submitter
from switchboard.usecases.submission.wait_for_slot import wait_for_slot

S = TypeVar("S")

SUPPRESSED: Final = "Nothing may be sent to this number"


@dataclass(frozen=True, slots=True)
class AttemptResult(Generic[R]):
    """The order with its recorded outcome, and the error that caused the outcome, if there was one."""

    order: R
    outcome: Outcome
    error: SwitchboardError | None


@dataclass(frozen=True, slots=True)
class _Ending:
    """The outcome of an attempt before it is recorded, and its cause."""

    outcome: Outcome
    error: SwitchboardError | None = None


class Submission(Generic[R, S, P]):
    """The way of a granted claim to its outcome, for every kind of order, for callers' requests and for the queue.

    After `claim_lifetime` nothing is sent under a claim. Deadlines.submission_after_claim is later: from then on, the
    sweep takes the claim's outcome for lost. `submission_of` builds from an order what its provider takes. With
    `queues`, an order goes to the queue if the provider has no room for it.

    A test order goes to `magic_numbers`, which is called only then, and never to the provider: not even its guard or
    its credentials are touched.
    """

    def __init__(
        self,
        *,
        orders: OrderStore[R],
        provider: Submitter[S, P],
        submission_of: Callable[[R], S],
        guard: ProviderGuard,
        clock: Clock,
        wait_budget: timedelta,
        claim_lifetime: timedelta,
        magic_numbers: Callable[[], MagicNumbers],
        queues: bool = True,
    ) -> None:
        self._orders = orders
        self._submission_of = submission_of
        self._provider = provider
        self._guard = guard
        self._clock = clock
        self._wait_budget = wait_budget
        self._claim_lifetime = claim_lifetime
        self._magic_numbers = magic_numbers
        self._queues = queues

    def prepare(self, order: R) -> P:
        """Build the provider's request for this order, without I/O.

        Raises:
            InvalidRequestError: the provider's document does not allow such an order, or a test order is for any number
                but a magic one.
        """
        if order.test:
            self._magic_numbers().check(order)
        return self._provider.prepare(self._submission_of(order))

    def run(
        self,
        order: R,
        claim: Claim,
        *,
        prepared: P | None = None,
        reserve_usage: Callable[[], None] = lambda: None,
        still_wanted: Callable[[], bool] = lambda: True,
    ) -> AttemptResult[R]:
        """Submit the order under `claim`, which must have been granted to this very invocation.

        An order without a `prepared` request is prepared now. Every submission passes here, so that a suppression is
        read here, after the claim. An error of `reserve_usage` ends the attempt before the provider is opened. An order
        that is not `still_wanted` once it has a slot is not sent. If the outcome cannot be recorded, the result is
        `unknown`: the table says nothing of it.
        """
        try:
            ending = self._attempt(order, claim, prepared, reserve_usage, still_wanted)
        except ConfigurationError:
            # It is raised before anything is sent. A mistake of ours makes no order unknown.
            self._record(order, claim, _Ending(Outcome(OutcomeKind.NOT_SENT, self._clock.now())))
            raise
        return self._record(order, claim, ending)

    def _attempt(
        self,
        order: R,
        claim: Claim,
        prepared: P | None,
        reserve_usage: Callable[[], None],
        still_wanted: Callable[[], bool],
    ) -> _Ending:
        try:
            request = self.prepare(order) if prepared is None else prepared
        except InvalidRequestError as error:
            # The order was valid when it was accepted. The configuration has changed since, and nothing was sent.
            return self._end(OutcomeKind.REJECTED, error)
        except StoreError as error:
            # The key of a code cannot be read.
            return self._end(OutcomeKind.NOT_SENT, error)
        try:
            if self._orders.is_suppressed(order.recipient):
                return self._end(OutcomeKind.REJECTED, RecipientSuppressedError(SUPPRESSED))
            reserve_usage()
            if order.test:
                return self._imitate(order, still_wanted)
            latest = min(self._clock.now() + self._wait_budget, claim.at + self._claim_lifetime, order.submit_before)
            wanted = wait_for_slot(
                self._guard,
                self._clock,
                connect=self._provider.open,
                latest=latest,
                still_wanted=still_wanted,
                order_id=order.id,
            )
            if not wanted:
                raise OrderOverError("The order is over. Nothing was sent", order.names)
        except SwitchboardError as error:
            return self._end(OutcomeKind.NOT_SENT, error)
        return self._submit(request)

    def _imitate(self, order: R, still_wanted: Callable[[], bool]) -> _Ending:
        if not still_wanted():
            raise OrderOverError("The order is over. Nothing was sent", order.names)
        try:
            receipt = self._magic_numbers().submit(order)
        except ProviderError as error:
            return self._end(_classify_error(error), error)
        return _Ending(Outcome(OutcomeKind.ACCEPTED, self._clock.now(), receipt.provider_code, receipt.facts))

    def _submit(self, request: P) -> _Ending:
        error: ProviderError | None = None
        try:
            receipt = self._provider.submit(request)
        except ProviderError as raised:
            error = raised
        except StoreError as unreadable:
            # The credentials are read before the first byte is sent.
            return self._end(OutcomeKind.NOT_SENT, unreadable)
        self._record_result(error)
        if error is not None:
            return self._end(_classify_error(error), error)
        return _Ending(Outcome(OutcomeKind.ACCEPTED, self._clock.now(), receipt.provider_code, receipt.facts))

    def _record_result(self, error: ProviderError | None) -> None:
        try:
            self._guard.record_result(error)
        except StoreError:
            # The outcome matters more than the circuit's count, and the next reservation fails closed anyway.
            return

    def _record(self, order: R, claim: Claim, ending: _Ending) -> AttemptResult[R]:
        outcome, error = ending.outcome, ending.error
        unsent = outcome.kind is OutcomeKind.NOT_SENT
        no_room = isinstance(error, SlotUnavailableError | RateLimitedError)
        queue = unsent and self._queues and (order.queued_at is not None or no_room)
        try:
            recorded = self._orders.record_outcome(order, claim, outcome, queue=queue)
        except StoreError as unrecorded:
            lost = Outcome(kind=OutcomeKind.UNKNOWN, at=outcome.at)
            unsure = replace(order, outcomes={**order.outcomes, claim.id: lost})
            return AttemptResult(order=unsure, outcome=lost, error=unrecorded)
        return AttemptResult(order=recorded, outcome=outcome, error=error)

    def _end(self, kind: OutcomeKind, error: SwitchboardError) -> _Ending:
        at = self._clock.now()
        if not isinstance(error, ProviderError):
            over_limit = isinstance(error, LimitExceededError)
            suppressed = isinstance(error, RecipientSuppressedError)
            return _Ending(Outcome(kind, at, over_limit=over_limit, suppressed=suppressed), error)
        facts = dict(error.facts)
        if error.request_id is not None:
            facts["request_id"] = error.request_id
        return _Ending(Outcome(kind=kind, at=at, provider_code=error.provider_code, facts=facts), error)


def _classify_error(error: ProviderError) -> OutcomeKind:
    if not error.outcome_known or isinstance(error, OutcomeUnknownError):
        return OutcomeKind.UNKNOWN
    return OutcomeKind.REJECTED if isinstance(error, RefusedError) else OutcomeKind.NOT_SENT

"""Carry out one caller's order: at most one submission for one request, whatever is repeated or breaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic

from switchboard.domain.errors import (
    IdempotencyKeyReusedError,
    RefusedError,
    RequestInProgressError,
    SlotUnavailableError,
    StoreUnavailableError,
    SubmissionFailedError,
)
from switchboard.domain.orders import Claim, OutcomeKind, Status, SubmissionState
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.orders import OrderStore, Outbox, R
from switchboard.ports.usage_limits import UsageLimits
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.usage_reservation import UsageReservation

_TRIED_AT_ONCE: Final = 10
"""So often what was not sent is tried again whenever its caller asks; from then on a second later each time, which are
some four hundred times in a day."""


@dataclass(frozen=True, slots=True)
class SubmissionResult(Generic[R]):
    """The order as it stands now, and whether an earlier request had already placed it."""

    order: R
    replayed: bool


class SubmitOnce(Generic[R]):
    """The order's id is its identity: chosen by the caller, derived from its key, or minted.

    `status_of` tells where an order stands: its `submitting` and `rejected` have to mean what SubmissionState means
    by them. Without an outbox nothing is queued: see Submission.
    """

    def __init__(
        self,
        *,
        orders: OrderStore[R],
        submission: Submission[R, Any],
        limits: UsageLimits,
        clock: Clock,
        new_id: ClaimIds,
        status_of: Callable[[R, datetime], Status[StrEnum]],
        outbox: Outbox[R] | None = None,
    ) -> None:
        self._orders = orders
        self._submission = submission
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._standing_of = status_of
        self._outbox = outbox

    def check(self, order: R) -> None:
        """Raises InvalidRequestError where the provider's document does not take such an order. No I/O."""
        self._submission.check(order)

    def __call__(self, order: R, *, key_id: str | None = None) -> SubmissionResult[R]:
        """`order` is new, with its first claim. `key_id` is given where the caller sent an idempotency key and chose
        the id as well: the id that the key alone would have given.

        Raises InvalidRequestError, IdempotencyKeyReusedError, RequestInProgressError, SubmissionFailedError,
        StoreUnavailableError (nothing was submitted). Only what goes on to the provider counts towards the limits.
        """
        self._submission.check(order)
        self.bind_key(order, key_id)
        claim = order.claims[0]
        answer = self._orders.create(order)
        if not answer.granted:
            earlier = self._same_request(answer.order, order)
            if not self._may_try_again(earlier):
                return self._replay(earlier)
            self._require_rest(earlier)
            claim = Claim(id=self._new_id(), at=self._clock.now())
            answer = self._orders.claim(order.id, claim)
            if not answer.granted:
                return self._replay(self._same_request(answer.order, order))
        granted = answer.order or order
        return self._submit(replace(granted, content=granted.content or order.content), claim)

    def replay_of_old(self, order: R) -> SubmissionResult[R] | None:
        """For an order that came too late to be submitted: only one that was placed in time can be told again.

        None where there is none. Raises as calling it does.
        """
        earlier = self._orders.get(order.id)
        return None if earlier is None else self._replay(self._same_request(earlier, order))

    def bind_key(self, order: R, key_id: str | None) -> None:
        """Raises IdempotencyKeyReusedError where the key belongs to another id."""
        if key_id is None:
            return
        if not self._orders.bind_key(key_id, order.id, at=order.created_at):
            raise IdempotencyKeyReusedError("this key belongs to another request", order.names)

    def _submit(self, order: R, claim: Claim) -> SubmissionResult[R]:
        reservation = UsageReservation(self._limits, order, claim)
        submitted = self._submission.run(order, claim, reserve_usage=reservation.commit)
        if submitted.order.queued_at is not None:
            self._hand_to_queue(submitted.order)
        elif submitted.error is not None and submitted.outcome.kind is not OutcomeKind.UNKNOWN:
            if submitted.outcome.kind is OutcomeKind.NOT_SENT:
                reservation.refund()
            raise SubmissionFailedError(submitted.error, order.names) from submitted.error
        return SubmissionResult(order=submitted.order, replayed=False)

    def _hand_to_queue(self, order: R) -> None:
        if self._outbox is None:
            raise AssertionError("only an order with an outbox is queued")
        try:
            self._outbox.put(order)
        except StoreUnavailableError:
            # It is written down as queued, and the sweep puts it into the queue when it is found waiting.
            return

    def _replay(self, earlier: R) -> SubmissionResult[R]:
        state = self._standing_of(earlier, self._clock.now()).state
        if state == SubmissionState.SUBMITTING:
            raise RequestInProgressError("the first request under this id is under way", earlier.names)
        outcome = earlier.last_outcome
        if state == SubmissionState.REJECTED and outcome is not None:
            refused = RefusedError(
                "the provider refused it",
                provider="",
                operation="replay",
                provider_code=outcome.provider_code,
                request_id=outcome.facts.get("request_id"),
            )
            raise SubmissionFailedError(refused, earlier.names, replayed=True)
        return SubmissionResult(order=earlier, replayed=True)

    def _may_try_again(self, earlier: R) -> bool:
        """It was never sent, is not the queue's, and may still be: the caller asks again, so it is tried again."""
        in_time = self._clock.now() < earlier.submit_before
        return earlier.known_unsent and earlier.queued_at is None and in_time

    def _require_rest(self, earlier: R) -> None:
        """Raises SubmissionFailedError where it was tried a moment ago: each attempt is a fact to keep, and there would
        be no room for those of somebody who asks again every few seconds through the hours of an outage."""
        last, rest = earlier.last_outcome, timedelta(seconds=len(earlier.claims) - _TRIED_AT_ONCE)
        if last is not None and self._clock.now() < last.at + rest:
            full = SlotUnavailableError("it has been tried a moment ago, and often before")
            raise SubmissionFailedError(full, earlier.names)

    def _same_request(self, earlier: R | None, asked: R) -> R:
        if earlier is None or earlier.fingerprint != asked.fingerprint:
            raise IdempotencyKeyReusedError("this id belongs to another request", asked.names)
        return earlier


def derived_id(*, client: str, key: str) -> str:
    """40 hexadecimal digits that only this client's key gives: within MediaSMS' `[A-Za-z0-9]{1,50}`."""
    return hashlib.sha256(f"{client}\0{key}".encode()).hexdigest()[:40]


def fingerprint(asked: Mapping[str, object]) -> str:
    """Equal for two requests that ask for the same thing, and for no others. `asked` is plain JSON."""
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()

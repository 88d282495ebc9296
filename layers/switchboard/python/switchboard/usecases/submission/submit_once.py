"""Carry out one caller's order: at most one submission for one request, whatever is repeated or fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from switchboard.domain.errors import (
    ConfigurationError,
    IdempotencyKeyReusedError,
    LimitExceededError,
    RecipientSuppressedError,
    RefusedError,
    RequestInProgressError,
    SlotUnavailableError,
    SmsidTakenError,
    StoreError,
    SubmissionFailedError,
)
from switchboard.domain.orders import Claim, Order, OutcomeKind, Status, SubmissionState
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.orders import OrderStore, Outbox, R
from switchboard.ports.usage_limits import UsageLimits
from switchboard.usecases.query import OrderView
from switchboard.usecases.submission.attempt import SUPPRESSED, Submission

T = TypeVar("T", bound=Status[StrEnum])

_ATTEMPTS_WITHOUT_PAUSE: Final = 10
"""The attempts that may follow each other at once. Each later one must wait a second longer than the one before it,
which allows some four hundred attempts in a day."""


@dataclass(frozen=True, slots=True)
class SubmissionResult(OrderView[R, T]):
    """The order and its status now. `replayed` is True if an earlier request had placed it."""

    replayed: bool


class SubmitOnce(Generic[R, T]):
    """The submission of an order under its id, which is chosen by the caller, derived from its key, or minted.

    `status_of` derives the status that the caller sees. `submission_status_of` replaces it in decisions: its
    `submitting` and `rejected` must mean what SubmissionState means by them. Nothing is queued without an outbox: see
    Submission. `prepare` is the submission's own: it raises InvalidRequestError without I/O.
    """

    def __init__(
        self,
        *,
        orders: OrderStore[R],
        submission: Submission[R, Any, Any],
        limits: UsageLimits,
        clock: Clock,
        new_id: ClaimIds,
        status_of: Callable[[R, datetime], T],
        submission_status_of: Callable[[R, datetime], Status[StrEnum]] | None = None,
        outbox: Outbox[R] | None = None,
    ) -> None:
        self.prepare: Final = submission.prepare
        self._orders = orders
        self._submission = submission
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._status_of = status_of
        self._submission_status_of = submission_status_of or status_of
        self._outbox = outbox

    def __call__(
        self, order: R, *, key_id: str | None = None, accept: Callable[[R], SubmissionResult[R, T]] | None = None
    ) -> SubmissionResult[R, T]:
        """Submit a new order, which holds its first claim, or replay the request that placed it before.

        Only what goes on to the provider counts towards the usage limits.

        Args:
            order: the new order with its first claim.
            key_id: the id that the idempotency key alone would have given, if the caller sent a key and chose the id.
            accept: accepts an order for later instead of submitting it. Such an order has no claim.

        Raises:
            InvalidRequestError: the provider's document does not allow such an order. Nothing was touched.
            IdempotencyKeyReusedError: the key or the id belongs to another request of the same client.
            SmsidTakenError: the id belongs to another client.
            RequestInProgressError: the first request under this id has not ended.
            SubmissionFailedError: the provider accepted nothing.
            StoreUnavailableError: nothing was submitted.
        """
        prepared = self._submission.prepare(order)
        self._bind_key(order, key_id)
        try:
            return self._create_and_submit(order, prepared) if accept is None else accept(order)
        except SubmissionFailedError as error:
            if key_id is not None and isinstance(error.cause, LimitExceededError):
                self._release_key(key_id, bound_at=order.created_at)
            raise

    def _create_and_submit(self, order: R, prepared: object) -> SubmissionResult[R, T]:
        answer = self._orders.create(order)
        if answer.granted:
            return self._submit(_complete(answer.order, order), order.claims[0], prepared)
        existing = require_same_request(answer.order, order, owner=answer.owner)
        if not self._may_retry(existing):
            return self._replay(existing)
        self._require_pause(existing)
        claim = Claim(id=self._new_id(), at=self._clock.now())
        answer = self._orders.claim(order.id, claim)
        if not answer.granted:
            return self._replay(require_same_request(answer.order, order, owner=answer.owner))
        # The stored order is prepared anew: it keeps the line and the bytes that it was placed with.
        return self._submit(_complete(answer.order, order), claim, None)

    def replay(self, order: R) -> SubmissionResult[R, T] | None:
        """Replay an order that is too late to be submitted, or return None if no request placed it in time.

        Raises what a call raises.
        """
        existing = self._orders.get(order.id)
        return None if existing is None else self._replay(require_same_request(existing, order))

    def _bind_key(self, order: R, key_id: str | None) -> None:
        if key_id is None:
            return
        if not self._orders.bind_key(key_id, order.id, client=order.client, at=order.created_at):
            raise IdempotencyKeyReusedError("This key belongs to another request. Use a new key", order.names)

    def _release_key(self, key_id: str, *, bound_at: datetime) -> None:
        # A binding that cannot be released now is kept as long as an order.
        with suppress(StoreError):
            self._orders.release_key(key_id, bound_at=bound_at)

    def _submit(self, order: R, claim: Claim, prepared: object | None) -> SubmissionResult[R, T]:
        usage = _UsageReservation(self._limits, order, claim)
        try:
            attempt = self._submission.run(order, claim, prepared=prepared, reserve_usage=usage.commit)
        except ConfigurationError:
            # Nothing was sent.
            usage.refund()
            raise
        if attempt.order.queued_at is not None:
            self._put_into_queue(attempt.order)
        elif attempt.error is not None and not _goes_on(attempt.order, attempt.outcome.kind):
            if attempt.outcome.kind is OutcomeKind.NOT_SENT:
                usage.refund()
            raise SubmissionFailedError(attempt.error, order.names) from attempt.error
        return self._build_result(attempt.order, replayed=False)

    def _put_into_queue(self, order: R) -> None:
        if self._outbox is None:
            raise AssertionError("only an order with an outbox is queued")
        try:
            self._outbox.put(order)
        except StoreError:
            # The order is recorded as queued: the sweep finds it waiting and puts it into the queue.
            return

    def show(self, order: R, *, replayed: bool) -> SubmissionResult[R, T]:
        """Answer with an order that was accepted for later, or with what the first request placed."""
        return self._replay(order) if replayed else self._build_result(order, replayed=False)

    def _replay(self, existing: R) -> SubmissionResult[R, T]:
        """Answer a repeated request from the order that the first one placed. Raises what a call raises."""
        state = self._submission_status_of(existing, self._clock.now()).state
        if state == SubmissionState.SUBMITTING:
            message = "The first request with this key or id is still under way. Repeat the request in a few seconds"
            raise RequestInProgressError(message, existing.names)
        outcome = existing.last_outcome
        if outcome is not None and outcome.suppressed:
            raise SubmissionFailedError(RecipientSuppressedError(SUPPRESSED), existing.names, replayed=True)
        if state == SubmissionState.REJECTED and outcome is not None and not existing.survives_rejection:
            refused = RefusedError(
                "The provider refused the order",
                provider="",
                operation="replay",
                provider_code=outcome.provider_code,
                request_id=outcome.facts.get("request_id"),
            )
            raise SubmissionFailedError(refused, existing.names, replayed=True)
        return self._build_result(existing, replayed=True)

    def _build_result(self, order: R, *, replayed: bool) -> SubmissionResult[R, T]:
        return SubmissionResult(order=order, status=self._status_of(order, self._clock.now()), replayed=replayed)

    def _may_retry(self, existing: R) -> bool:
        """Tell whether a repeated request is tried again: nothing was sent, and the order is not queued."""
        in_time = self._clock.now() < existing.submit_before
        return existing.known_unsent and existing.queued_at is None and in_time

    def _require_pause(self, existing: R) -> None:
        """Refuse an attempt that follows the last one too soon.

        The item stores every attempt. It has no room for the attempts of a caller that repeats its request every few
        seconds through the hours of an outage.
        """
        last, pause = existing.last_outcome, timedelta(seconds=len(existing.claims) - _ATTEMPTS_WITHOUT_PAUSE)
        if last is not None and self._clock.now() < last.at + pause:
            too_soon = SlotUnavailableError("The last of many attempts was a moment ago. Repeat the request later")
            raise SubmissionFailedError(too_soon, existing.names)


def _goes_on(order: Order[Any], outcome: OutcomeKind) -> bool:
    """Tell whether the order goes on although this attempt did not have it accepted."""
    return outcome is OutcomeKind.UNKNOWN or (outcome is OutcomeKind.REJECTED and order.survives_rejection)


class _UsageReservation:
    """One attempt's place within the usage limits, counted at the time of its claim."""

    def __init__(self, limits: UsageLimits, order: Order[Any], claim: Claim) -> None:
        self._limits = limits
        self._order = order
        self._claim = claim
        # The order's weight follows from its content, which may be deleted before a refund.
        self._weight = order.weight
        self._counted = False

    def commit(self) -> None:
        """Count the attempt before the provider is opened. Raises what UsageLimits.reserve raises."""
        order = self._order
        self._limits.reserve(
            recipient=order.recipient, client=order.client, weight=self._weight, at=self._claim.at, test=order.test
        )
        self._counted = True

    def refund(self) -> None:
        """Give back the place of an attempt that sent nothing: its repetition is counted instead."""
        if not self._counted:
            return
        try:
            self._limits.refund(
                recipient=self._order.recipient,
                client=self._order.client,
                weight=self._weight,
                at=self._claim.at,
                test=self._order.test,
            )
        except StoreError:
            # One too many is counted, which is the safe side. A second refund might leave one too few.
            return


def _complete(stored: R | None, order: R) -> R:
    """Return the stored order, with the content of the request if the store has forgotten it."""
    stored = stored or order
    return replace(stored, content=stored.content or order.content)


def require_same_request(existing: R | None, order: R, *, owner: str | None = None) -> R:
    """Return the existing order if the same request placed it.

    `owner` is the client that the id belongs to, if it is an order of another kind or an idempotency key.

    Raises:
        SmsidTakenError: the id belongs to another client.
        IdempotencyKeyReusedError: the id belongs to another request of the same client, or is not an order's. A test
            key's request and a real one are never the same.
    """
    if existing is not None:
        owner = existing.client
    if owner not in (None, order.client):
        raise SmsidTakenError("Choose another smsid", order.names)
    if existing is None or (existing.fingerprint, existing.test) != (order.fingerprint, order.test):
        raise IdempotencyKeyReusedError("This key or id belongs to another request. Use a new one", order.names)
    return existing


def derive_id(*, client: str, key: str) -> str:
    """Derive the id that only this client's key gives: 40 hexadecimal digits (MediaSMS takes `[A-Za-z0-9]{1,50}`)."""
    return hashlib.sha256(f"{client}\0{key}".encode()).hexdigest()[:40]


def fingerprint(request: Mapping[str, object], **optional: str | bool | None) -> str:
    """Hash a request, given as plain JSON. Two requests have equal fingerprints only if they ask for the same thing.

    An `optional` member without a value changes no fingerprint, so that it may be added to a stored kind of request.
    """
    members = {name: value for name, value in optional.items() if value}
    canonical = json.dumps({**request, **members}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()

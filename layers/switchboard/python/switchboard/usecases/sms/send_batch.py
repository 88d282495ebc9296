"""Accept many SMS at once for the bulk queue: each message is recorded and queued, and none is submitted here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from switchboard.domain.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    StoreError,
    StoreUnavailableError,
    SwitchboardError,
)
from switchboard.domain.orders import Deadlines
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.orders import MessageStore
from switchboard.usecases.sms.accept import AcceptForQueue
from switchboard.usecases.sms.send import SendSmsCommand, build_message, find_refusal, fingerprint_of
from switchboard.usecases.submission.submit_once import derive_id, fingerprint


@dataclass(frozen=True, slots=True)
class BatchItem:
    """A message of the batch and its state now. `replayed` is True if an earlier request had placed it."""

    message: Message
    state: SmsState
    replayed: bool


class SendSmsBatch:
    """The use case of `POST /v1/sms/batch`: each message is accepted or refused on its own.

    With an idempotency key, each message's id derives from the key and its place in the batch, so that the whole batch
    may be sent again. `check` raises InvalidRequestError if the provider does not take a message. Messages that are
    not reached within `time_budget` are refused as unavailable, and may be sent again with the rest.
    """

    def __init__(
        self,
        *,
        messages: MessageStore,
        check: Callable[[Message], object],
        accept: AcceptForQueue,
        clock: Clock,
        new_id: ClaimIds,
        deadlines: Deadlines,
        status_of: Callable[[Message, datetime], SmsStatus],
        time_budget: timedelta,
    ) -> None:
        self._messages = messages
        self._check = check
        self._accept = accept
        self._clock = clock
        self._new_id = new_id
        self._deadlines = deadlines
        self._status_of = status_of
        self._time_budget = time_budget

    def __call__(
        self, commands: Sequence[SendSmsCommand | InvalidRequestError], *, client: str, key: str | None
    ) -> list[BatchItem | SwitchboardError]:
        """Return for each command, in their order, its message or the reason why there is none.

        An error among the commands is returned as it is.

        Raises:
            IdempotencyKeyReusedError: the key came with another batch. Nothing was accepted.
            StoreUnavailableError: the store could not tell whether it did. Nothing was accepted.
        """
        now = self._clock.now()
        if key is not None:
            self._bind_key(key, commands, client=client, at=now)
        items: list[BatchItem | SwitchboardError] = []
        for place, command in enumerate(commands):
            if isinstance(command, InvalidRequestError):
                items.append(command)
            elif self._clock.now() > now + self._time_budget:
                items.append(StoreUnavailableError("the time for one request is over"))
            else:
                items.append(self._accept_one(replace(command, idempotency_key=key), place=place, now=now))
        self._accept.put_into_queue(
            [item.message for item in items if isinstance(item, BatchItem) and not item.replayed]
        )
        if key is not None and not any(isinstance(item, BatchItem | StoreError) for item in items):
            self._release_key(key, client=client, bound_at=now)
        return items

    def _bind_key(
        self, key: str, commands: Sequence[SendSmsCommand | InvalidRequestError], *, client: str, at: datetime
    ) -> None:
        batch = fingerprint({"batch": [_describe(command) for command in commands]})
        if not self._messages.bind_key(derive_id(client=client, key=key), batch, client=client, at=at):
            raise IdempotencyKeyReusedError("This key belongs to another request. Use a new key", {})

    def _release_key(self, key: str, *, client: str, bound_at: datetime) -> None:
        """Keep the key of a batch without any message for a short time only."""
        # A binding that cannot be released now is kept as long as a message.
        with suppress(StoreError):
            self._messages.release_key(derive_id(client=client, key=key), bound_at=bound_at)

    def _accept_one(self, command: SendSmsCommand, *, place: int, now: datetime) -> BatchItem | SwitchboardError:
        smsid = self._choose_id(command, place=place)
        quiet_hours = self._accept.quiet_hours if command.quiet_hours else None
        message = build_message(command, smsid=smsid, now=now, deadlines=self._deadlines, quiet_hours=quiet_hours)
        message = replace(message, bulk=True, queued_at=now)
        try:
            self._check(message)
            accepted = self._accept.record(message, refusal=find_refusal(command, message))
            status = self._status_of(accepted.message, self._clock.now())
            return BatchItem(accepted.message, status.state, accepted.replayed)
        except SwitchboardError as error:
            return error

    def _choose_id(self, command: SendSmsCommand, *, place: int) -> str:
        if command.smsid is not None:
            return command.smsid
        if command.idempotency_key is not None:
            return derive_id(client=command.client, key=f"{command.idempotency_key}\0{place}")
        return self._new_id()


def _describe(command: SendSmsCommand | InvalidRequestError) -> list[str | None] | None:
    """Describe a command for the batch's fingerprint. An invalid one counts by its place alone."""
    return None if isinstance(command, InvalidRequestError) else [command.smsid, fingerprint_of(command)]

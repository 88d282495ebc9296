"""Take many SMS at once for the slow lane: each is written down and queued, and none is submitted here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from switchboard.domain.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    LimitExceededError,
    StoreUnavailableError,
    SwitchboardError,
)
from switchboard.domain.orders import Deadlines
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.orders import ClaimAnswer, MessageStore, Outbox
from switchboard.ports.usage_limits import UsageLimits
from switchboard.usecases.sms.send import SendSmsCommand, fingerprint_of, message_of, too_late
from switchboard.usecases.submission.submit_once import derived_id, fingerprint


@dataclass(frozen=True, slots=True)
class BatchItem:
    """A message of the batch and where it stands now. `replayed`: an earlier request had placed it."""

    message: Message
    state: SmsState
    replayed: bool


class SendSmsBatch:
    """Each message is taken or refused on its own. With an idempotency key each has an id of its own by its place in
    the batch, so that the whole batch may be sent again.

    `check` raises InvalidRequestError where the provider does not take a message. What has not been looked at within
    `time_budget` is refused as unavailable, and may be sent again with the rest.
    """

    def __init__(
        self,
        *,
        messages: MessageStore,
        check: Callable[[Message], None],
        limits: UsageLimits,
        outbox: Outbox[Message],
        clock: Clock,
        new_id: ClaimIds,
        deadlines: Deadlines,
        status_of: Callable[[Message, datetime], SmsStatus],
        time_budget: timedelta,
    ) -> None:
        self._messages = messages
        self._check = check
        self._limits = limits
        self._outbox = outbox
        self._clock = clock
        self._new_id = new_id
        self._deadlines = deadlines
        self._standing_of = status_of
        self._time_budget = time_budget

    def __call__(
        self, commands: Sequence[SendSmsCommand | InvalidRequestError], *, client: str, key: str | None
    ) -> list[BatchItem | SwitchboardError]:
        """For each command, in their order, the message or why there is none; an error among them is handed through.

        Raises IdempotencyKeyReusedError where the key came with another batch, StoreUnavailableError where nobody can
        say whether it did: then nothing was taken.
        """
        now = self._clock.now()
        if key is not None:
            self._bind(commands, client=client, key=key, at=now)
        items: list[BatchItem | SwitchboardError] = []
        for place, command in enumerate(commands):
            if isinstance(command, InvalidRequestError):
                items.append(command)
            elif self._clock.now() > now + self._time_budget:
                items.append(StoreUnavailableError("the time for one request is over"))
            else:
                items.append(self._take(replace(command, idempotency_key=key), place=place, now=now))
        self._hand_to_queue([item.message for item in items if isinstance(item, BatchItem) and not item.replayed])
        return items

    def _bind(
        self, commands: Sequence[SendSmsCommand | InvalidRequestError], *, client: str, key: str, at: datetime
    ) -> None:
        asked = [None if isinstance(each, InvalidRequestError) else _asked(each) for each in commands]
        batch = fingerprint({"batch": asked})
        if not self._messages.bind_key(derived_id(client=client, key=key), batch, at=at):
            raise IdempotencyKeyReusedError("this key belongs to another request", {})

    def _take(self, command: SendSmsCommand, *, place: int, now: datetime) -> BatchItem | SwitchboardError:
        message = replace(
            message_of(command, smsid=self._identity(command, place=place), now=now, deadlines=self._deadlines),
            bulk=True,
            queued_at=now,
        )
        try:
            if message.submit_before <= now:
                raise too_late()
            self._check(message)
            return self._place(message)
        except SwitchboardError as error:
            return error

    def _place(self, message: Message) -> BatchItem:
        """Counted before it is written down: what is in the table is sent, whatever happens next."""
        try:
            self._reserve_usage(message)
        except LimitExceededError:
            earlier = self._messages.get(message.smsid)
            if earlier is None:
                raise
            return self._replay(earlier, message)
        answer = self._create(message)
        if answer.granted:
            return self._taken(message, replayed=False)
        self._refund_usage(message)
        return self._replay(answer.order, message)

    def _create(self, message: Message) -> ClaimAnswer[Message]:
        """Granted also where the first try was carried out and its answer lost: without a claim, the message is known
        by its time."""
        try:
            return self._messages.create(message)
        except StoreUnavailableError:
            answer = self._messages.create(message)
        return replace(answer, granted=answer.granted or _is(answer.order, message))

    def _reserve_usage(self, message: Message) -> None:
        self._limits.reserve(recipient=message.recipient, client=message.client, at=message.created_at)

    def _refund_usage(self, message: Message) -> None:
        try:
            self._limits.refund(recipient=message.recipient, client=message.client, at=message.created_at)
        except StoreUnavailableError:
            # One too many is counted, which is the side to err on.
            return

    def _replay(self, earlier: Message | None, asked: Message) -> BatchItem:
        if earlier is None or earlier.fingerprint != asked.fingerprint:
            raise IdempotencyKeyReusedError("this id belongs to another request", asked.names)
        return self._taken(earlier, replayed=True)

    def _taken(self, message: Message, *, replayed: bool) -> BatchItem:
        return BatchItem(message, self._standing_of(message, self._clock.now()).state, replayed)

    def _hand_to_queue(self, messages: Sequence[Message]) -> None:
        try:
            self._outbox.put(*messages)
        except StoreUnavailableError:
            # They are written down as queued, and the sweep puts them into the queue when they are found waiting.
            return

    def _identity(self, command: SendSmsCommand, *, place: int) -> str:
        if command.smsid is not None:
            return command.smsid
        if command.idempotency_key is not None:
            return derived_id(client=command.client, key=f"{command.idempotency_key}\0{place}")
        return self._new_id()


def _is(stored: Message | None, asked: Message) -> bool:
    """Whether it is the very one: asked for in the same words at the same millisecond."""
    if stored is None or stored.fingerprint != asked.fingerprint:
        return False
    return to_rfc3339(stored.created_at) == to_rfc3339(asked.created_at)


def _asked(command: SendSmsCommand) -> list[str | None]:
    return [command.smsid, fingerprint_of(command)]

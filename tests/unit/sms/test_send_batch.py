"""Each message of a batch is accepted or refused on its own, counted like any other, and sent once by the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from switchboard.domain.errors import (
    FieldProblem,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    RecipientLimitError,
    StoreUnavailableError,
    SwitchboardError,
)
from switchboard.domain.sms.messages import SmsContent, SmsState
from switchboard.usecases.sms.send import SendSmsCommand
from switchboard.usecases.sms.send_batch import BatchItem
from tests.builders import CLIENT, OTHER_RECIPIENT, a_command
from tests.fakes import (
    Answer,
    FixedClock,
    InMemoryCounterStore,
    InMemoryMessageStore,
    InMemoryOutbox,
    LimitRules,
    NoLimits,
    ScriptedProvider,
    flaky,
)
from tests.systems import TIME_BUDGET, System, assembled

INVALID = InvalidRequestError(FieldProblem("to", "is not a number"))
Commands = Sequence[SendSmsCommand | InvalidRequestError]


def command(number: int, **fields: object) -> SendSmsCommand:
    return a_command(idempotency_key=None, content=SmsContent(text=f"text {number}"), **fields)


@dataclass
class Setting:
    clock: FixedClock = field(default_factory=FixedClock)
    store: InMemoryMessageStore = field(default_factory=InMemoryMessageStore)
    outbox: InMemoryOutbox = field(default_factory=InMemoryOutbox)
    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    rules: LimitRules = field(default_factory=LimitRules)
    counters: InMemoryCounterStore = field(default_factory=InMemoryCounterStore)
    faults: dict[str, list[Answer]] = field(default_factory=dict)

    def system(self) -> System:
        return assembled(
            messages=flaky(self.store, **self.faults) if self.faults else self.store,
            outbox=self.outbox,
            provider=self.provider,
            clock=self.clock,
            limits=self.rules.over(self.counters),
        )

    def send(self, *commands: SendSmsCommand | InvalidRequestError, key: str | None = "batch-1") -> list[object]:
        return [*self.system().send_batch(commands, client=CLIENT, key=key)]

    def empty_queue(self) -> None:
        system = self.system()
        while self.outbox.entries:
            system.send_queued(self.outbox.entries.popleft())


def ids(items: Sequence[object]) -> list[str]:
    return [item.message.smsid for item in items if isinstance(item, BatchItem)]


def test_an_accepted_batch_is_sent_from_the_bulk_queue() -> None:
    setting = Setting()
    items = setting.send(command(1), INVALID, command(2, recipient=OTHER_RECIPIENT))

    assert items[1] is INVALID
    assert [item.state for item in items if isinstance(item, BatchItem)] == [SmsState.QUEUED] * 2
    assert list(setting.outbox.entries) == ids(items)
    assert not setting.provider.submissions
    assert all(row.order is not None and row.order.bulk for row in setting.store.rows.values())

    setting.empty_queue()
    assert [submission.smsid for submission in setting.provider.submissions] == ids(items)


def test_a_repeated_batch_is_replayed_and_sends_nothing() -> None:
    setting = Setting()
    first = setting.send(command(1), command(1), command(2))
    setting.empty_queue()
    repeated = setting.send(command(1), command(1), command(2))

    assert ids(first) == ids(repeated)
    assert len(set(ids(first))) == 3
    assert [item.state for item in repeated if isinstance(item, BatchItem)] == [SmsState.ACCEPTED] * 3
    assert all(isinstance(item, BatchItem) and item.replayed for item in repeated)
    assert not setting.outbox.entries


@pytest.mark.parametrize(
    "other",
    [[command(1)], [command(2), command(1)], [command(1), command(2), command(3)]],
    ids=["shorter", "another order", "longer"],
)
def test_another_batch_under_the_same_key_is_refused(other: Commands) -> None:
    setting = Setting()
    setting.send(command(1), command(2))
    with pytest.raises(IdempotencyKeyReusedError):
        setting.send(*other)
    assert len(setting.store.rows) == 2


def test_a_key_of_a_single_message_is_refused_for_a_batch() -> None:
    setting = Setting()
    setting.system().send(a_command(idempotency_key="batch-1"))
    with pytest.raises(IdempotencyKeyReusedError):
        setting.send(command(1))


def test_a_key_of_a_batch_is_refused_for_a_single_message() -> None:
    setting = Setting()
    setting.send(command(1))
    with pytest.raises(IdempotencyKeyReusedError):
        setting.system().send(a_command(idempotency_key="batch-1"))


def test_equal_batches_without_a_key_are_independent() -> None:
    setting = Setting()
    assert not set(ids(setting.send(command(1), key=None))) & set(ids(setting.send(command(1), key=None)))


def test_a_taken_id_refuses_only_its_own_message() -> None:
    setting = Setting()
    items = setting.send(command(1, smsid="a1"), command(2, smsid="a1"), command(3, smsid="a3"))
    assert [type(item) for item in items] == [BatchItem, IdempotencyKeyReusedError, BatchItem]


def test_only_messages_over_a_limit_are_refused() -> None:
    setting = Setting(rules=LimitRules(recipient_per_minute=2))
    items = setting.send(command(1), command(2), command(3), command(4, recipient=OTHER_RECIPIENT))
    assert [type(item) for item in items] == [BatchItem, BatchItem, RecipientLimitError, BatchItem]
    assert len(setting.store.rows) == 3


def test_a_repeated_batch_over_a_limit_is_replayed_uncounted() -> None:
    setting = Setting(rules=LimitRules(recipient_per_minute=3))
    setting.send(command(1), command(2))
    for _ in range(3):
        assert all(isinstance(item, BatchItem) for item in setting.send(command(1), command(2)))
    assert isinstance(setting.send(command(3), key="batch-2")[0], BatchItem)
    assert isinstance(setting.send(command(4), key="batch-3")[0], RecipientLimitError)
    assert all(isinstance(item, BatchItem) for item in setting.send(command(1), command(2)))


@pytest.mark.parametrize(
    ("commands", "is_short"),
    [
        ([command(1)], True),
        ([command(1), INVALID], True),
        ([command(1), command(2, recipient=OTHER_RECIPIENT)], False),
    ],
    ids=["over the limit", "over the limit or invalid", "one accepted"],
)
def test_the_key_of_a_batch_without_a_message_is_kept_only_for_a_short_time(
    commands: Commands, *, is_short: bool
) -> None:
    setting = Setting(rules=LimitRules(recipient_per_minute=1))
    setting.send(command(0), key=None)
    setting.send(*commands)
    assert [bound.is_short for bound in setting.store.bound.values()] == [is_short]


def test_the_key_of_a_batch_that_may_be_recorded_is_kept() -> None:
    setting = Setting(faults={"create": [Answer.LOST, Answer.LOST]})
    assert isinstance(setting.send(command(1))[0], StoreUnavailableError)
    assert [bound.is_short for bound in setting.store.bound.values()] == [False]


def test_a_message_after_not_after_is_refused() -> None:
    setting = Setting()
    late = command(1, not_after=setting.clock.now())
    [item] = setting.send(late)
    assert isinstance(item, InvalidRequestError)
    assert item.problems[0].field == "not_after"


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_a_message_with_a_lost_answer_is_sent_once(answer: Answer) -> None:
    setting = Setting(faults={"create": [answer]})
    items = setting.send(command(1))
    setting.system().sweep()
    setting.clock.advance(timedelta(minutes=16))
    setting.system().sweep()
    setting.empty_queue()
    assert [submission.smsid for submission in setting.provider.taken] == ids(items)


def test_a_created_message_with_a_lost_answer_counts_as_new() -> None:
    setting = Setting(faults={"create": [Answer.LOST]}, rules=LimitRules(recipient_per_minute=1))
    [item, refused] = setting.send(command(1), command(2))
    assert isinstance(item, BatchItem)
    assert not item.replayed
    assert [*setting.outbox.entries] == [item.message.smsid]
    assert isinstance(refused, RecipientLimitError)


def test_a_replay_with_an_unapplied_call_is_still_a_replay() -> None:
    setting = Setting()
    setting.send(command(1))
    setting.clock.advance(timedelta(seconds=1))
    setting.faults["create"] = [Answer.NOT_APPLIED]
    [item] = setting.send(command(1))
    assert isinstance(item, BatchItem)
    assert item.replayed


def test_a_message_without_a_store_is_refused_and_not_sent() -> None:
    setting = Setting(faults={"create": [Answer.NOT_APPLIED] * 2})
    [refused, accepted] = setting.send(command(1), command(2), key=None)
    assert isinstance(refused, StoreUnavailableError)
    setting.empty_queue()
    assert [submission.smsid for submission in setting.provider.submissions] == ids([accepted])


def test_messages_beyond_the_time_budget_are_accepted_next_time() -> None:
    setting = Setting()

    class SlowLimits(NoLimits):
        def reserve(self, **arguments: object) -> None:
            setting.clock.advance(TIME_BUDGET / 2 + timedelta(milliseconds=1))

    slow = assembled(
        messages=setting.store,
        outbox=setting.outbox,
        clock=setting.clock,
        limits=SlowLimits(),
    ).send_batch
    commands = [command(1), command(2), command(3)]
    first: list[BatchItem | SwitchboardError] = slow(commands, client=CLIENT, key="batch-1")
    assert [type(item) for item in first] == [BatchItem, BatchItem, StoreUnavailableError]
    assert [type(item) for item in setting.send(*commands)] == [BatchItem, BatchItem, BatchItem]
    setting.empty_queue()
    assert len(setting.provider.taken) == 3


def test_a_batch_without_a_queue_is_requeued_by_the_sweep() -> None:
    setting = Setting()
    system = assembled(
        messages=setting.store, outbox=flaky(InMemoryOutbox(), put=[Answer.NOT_APPLIED]), clock=setting.clock
    )
    [item] = system.send_batch([command(1)], client=CLIENT, key=None)
    setting.clock.advance(timedelta(minutes=16))
    setting.system().sweep()
    assert list(setting.outbox.entries) == ids([item])

"""Only requests that go on to the provider count towards the usage limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from switchboard.domain.errors import (
    ConfigurationError,
    FieldProblem,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotSentError,
    RateLimitTimeoutError,
    RecipientLimitError,
    StoreUnavailableError,
    SubmissionFailedError,
)
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import SmsState
from switchboard.ports.usage_limits import CounterStore
from switchboard.usecases.sms.send_queued import QueuedOutcome
from tests.builders import CLIENT, OTHER_RECIPIENT, a_command
from tests.fakes import (
    Answer,
    Ending,
    FixedClock,
    InMemoryCounterStore,
    InMemoryMessageStore,
    InMemoryOutbox,
    LimitRules,
    ScriptedGuard,
    ScriptedProvider,
    down,
    flaky,
)
from tests.systems import System, assembled

MINUTE = timedelta(minutes=1)


class _Limited:
    """A system over fakes that allows one message a minute to a number."""

    def __init__(self, *endings: Ending, counters: CounterStore | None = None, full: int = 0) -> None:
        self.clock = FixedClock()
        self.provider = ScriptedProvider(*endings)
        self.messages = InMemoryMessageStore()
        self.outbox = InMemoryOutbox()
        self.guard = ScriptedGuard(self.clock, *[RateLimitTimeoutError("full")] * full)
        self.counters = counters or InMemoryCounterStore()

    def system(self, messages: InMemoryMessageStore | None = None) -> System:
        return assembled(
            messages=messages or self.messages,
            outbox=self.outbox,
            provider=self.provider,
            clock=self.clock,
            guard=self.guard,
            limits=LimitRules(recipient_per_minute=1).over(self.counters),
        )

    def send(self, key: str = "order-1", **fields: object) -> SmsState:
        sent = self.system().send(a_command(idempotency_key=key, **fields))
        return self.system().query.one(sent.order.smsid, client=CLIENT).status.state

    def is_refused(self, key: str) -> bool:
        try:
            self.send(key)
        except SubmissionFailedError as error:
            assert isinstance(error.cause, RecipientLimitError)
            return True
        return False


def test_a_message_over_the_limit_is_refused_and_not_sent() -> None:
    limited = _Limited()
    limited.send("one")
    with pytest.raises(SubmissionFailedError) as refused:
        limited.send("two")
    assert isinstance(refused.value.cause, RecipientLimitError)
    assert not refused.value.replayed
    assert len(limited.provider.submissions) == 1
    message = limited.messages.get(refused.value.names["smsid"])
    assert message is not None
    assert [outcome.kind for outcome in message.outcomes.values()] == [OutcomeKind.NOT_SENT]
    assert message.content is None
    assert not limited.outbox.entries


def test_a_refused_key_is_sent_after_the_window() -> None:
    limited = _Limited()
    limited.send("one")
    assert limited.is_refused("two")
    assert limited.is_refused("two")
    limited.clock.advance(MINUTE)
    assert limited.send("two") is SmsState.ACCEPTED
    assert len(limited.provider.submissions) == 2


def test_a_key_bound_to_a_refused_message_is_kept_only_for_a_short_time() -> None:
    limited = _Limited()
    limited.send("one", smsid="chosen1")
    with pytest.raises(SubmissionFailedError):
        limited.send("two", smsid="chosen2")
    assert {bound.order_id: bound.is_short for bound in limited.messages.bound.values()} == {
        "chosen1": False,
        "chosen2": True,
    }
    limited.clock.advance(MINUTE)
    limited.send("two", smsid="chosen2")
    assert not any(bound.is_short for bound in limited.messages.bound.values())


def test_a_replay_is_not_counted() -> None:
    limited = _Limited()
    for _ in range(5):
        assert limited.send("one") is SmsState.ACCEPTED
    limited.clock.advance(MINUTE)
    for _ in range(5):
        limited.send("one")
    assert limited.send("two") is SmsState.ACCEPTED


def test_dry_runs_and_refused_requests_are_not_counted() -> None:
    limited = _Limited()
    command = a_command(idempotency_key="one")
    limited.system().send.check(command)
    limited.provider.problem = InvalidRequestError(FieldProblem("text", "is odd"))
    with pytest.raises(InvalidRequestError):
        limited.system().send(command)
    limited.provider.problem = None
    with pytest.raises(InvalidRequestError):
        limited.system().send(a_command(idempotency_key="late", not_after=limited.clock.now()))
    limited.send("other", recipient=OTHER_RECIPIENT)
    with pytest.raises(IdempotencyKeyReusedError):
        limited.send("other")
    assert limited.send("one") is SmsState.ACCEPTED


def test_refused_and_unknown_submissions_are_counted() -> None:
    for ending in (Ending.REFUSED, Ending.LOST_ON_THE_WAY):
        limited = _Limited(ending)
        try:
            limited.send("one")
        except SubmissionFailedError as error:
            assert not isinstance(error.cause, RecipientLimitError)
        assert limited.is_refused("two")


def test_an_unsent_message_is_refunded() -> None:
    limited = _Limited()
    limited.provider.reachable = False
    for _ in range(3):
        with pytest.raises(SubmissionFailedError) as refused:
            limited.send("one")
        assert isinstance(refused.value.cause, NotSentError)
    limited.provider.reachable = True
    assert limited.send("one") is SmsState.ACCEPTED


@pytest.mark.parametrize("ending", ["open", "submit"])
def test_a_message_is_refunded_if_our_configuration_is_wrong(ending: str) -> None:
    limited = _Limited()

    def fail(*_: object) -> Any:
        raise ConfigurationError("the secret must hold the texts user and password")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limited.provider, ending, fail)
        with pytest.raises(ConfigurationError):
            limited.send("one")
    assert limited.send("two") is SmsState.ACCEPTED


def test_a_queued_message_is_counted_once() -> None:
    limited = _Limited(full=1)
    assert limited.send("one") is SmsState.QUEUED
    assert limited.is_refused("two")
    limited.clock.advance(MINUTE)
    assert limited.send("three") is SmsState.ACCEPTED
    assert limited.system().send_queued(limited.outbox.entries.popleft()) is QueuedOutcome.ACCEPTED


def test_without_counters_nothing_is_sent() -> None:
    limited = _Limited(counters=down(InMemoryCounterStore))
    with pytest.raises(SubmissionFailedError) as refused:
        limited.send("one")
    assert isinstance(refused.value.cause, StoreUnavailableError)
    assert not limited.provider.submissions
    limited.counters = InMemoryCounterStore()
    assert limited.send("one") is SmsState.ACCEPTED


def test_a_lost_answer_of_the_counters_is_retried() -> None:
    limited = _Limited(counters=flaky(InMemoryCounterStore(), increment=[Answer.NOT_APPLIED]))
    assert limited.send("one") is SmsState.ACCEPTED


def test_a_failed_refund_stays_counted() -> None:
    limited = _Limited(counters=flaky(InMemoryCounterStore(), decrement=[Answer.NOT_APPLIED]))
    limited.provider.reachable = False
    with pytest.raises(SubmissionFailedError) as refused:
        limited.send("one")
    assert isinstance(refused.value.cause, NotSentError)
    assert limited.is_refused("one")


def test_an_unrecorded_refusal_is_unknown_and_not_sent() -> None:
    limited = _Limited()
    limited.send("one")
    messages = flaky(limited.messages, record_outcome=[Answer.NOT_APPLIED] * 2)
    sent = limited.system(messages).send(a_command(idempotency_key="two"))
    assert [outcome.kind for outcome in sent.order.outcomes.values()] == [OutcomeKind.UNKNOWN]
    assert len(limited.provider.submissions) == 1

"""One delivery from the queue has one outcome, and submits at most once. (I1, I2, I22)"""

from __future__ import annotations

import pytest

from switchboard.domain.errors import (
    FieldProblem,
    InvalidRequestError,
    LockedOutError,
    RateLimitTimeoutError,
    StoreUnavailableError,
    SwitchboardError,
)
from switchboard.domain.sms.messages import SmsState, SmsSubmission
from switchboard.usecases.sms.send_queued import QueuedOutcome
from tests.builders import CLIENT, CONTENT, DEADLINES, RECIPIENT, a_report
from tests.fakes import (
    Answer,
    Ending,
    InMemoryMessageStore,
    InMemoryOutbox,
    ScriptedGuard,
    ScriptedProvider,
    down,
    flaky,
)
from tests.harness.scenarios import queued_world
from tests.harness.world import SMSID, World
from tests.systems import Parts, System, assembled


@pytest.fixture
def world() -> World:
    """Build a world with one message in the queue, in which nothing fails unless a test makes it fail."""
    return queued_world(Parts())


def _system(world: World, *endings: Ending, guard_raises: tuple[SwitchboardError, ...] = ()) -> System:
    world.provider.script(*endings)
    return assembled(
        messages=world.store,
        outbox=world.outbox,
        provider=world.provider,
        clock=world.clock,
        guard=ScriptedGuard(world.clock, *guard_raises),
    )


def test_a_queued_message_is_submitted_unchanged(world: World) -> None:
    assert _system(world).send_queued(SMSID) is QueuedOutcome.ACCEPTED
    [submission] = world.provider.taken
    assert (submission.recipient, submission.content) == (RECIPIENT, CONTENT)
    assert world.status().state is SmsState.ACCEPTED
    assert not world.outbox.entries


@pytest.mark.parametrize(
    ("ending", "outcome", "state"),
    [
        (Ending.REFUSED, QueuedOutcome.REJECTED, SmsState.REJECTED),
        (Ending.LOST_BUT_TAKEN, QueuedOutcome.UNKNOWN, SmsState.UNKNOWN),
        (Ending.LOST_ON_THE_WAY, QueuedOutcome.UNKNOWN, SmsState.UNKNOWN),
        (Ending.UNREADABLE, QueuedOutcome.UNKNOWN, SmsState.UNKNOWN),
    ],
)
def test_a_message_that_may_have_been_sent_leaves_the_queue(
    world: World, ending: Ending, outcome: QueuedOutcome, state: SmsState
) -> None:
    assert _system(world, ending).send_queued(SMSID) is outcome
    assert world.status().state is state
    assert not world.outbox.entries
    assert _system(world).send_queued(SMSID) is QueuedOutcome.NOTHING_TO_DO
    assert len(world.provider.submissions) == 1


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (Ending.RATE_LIMITED, QueuedOutcome.REQUEUED),
        (Ending.NOT_SENT, QueuedOutcome.REQUEUED),
        (Ending.UNAUTHENTICATED, QueuedOutcome.ACCOUNT_REJECTED),
        (Ending.BLOCKED, QueuedOutcome.ACCOUNT_REJECTED),
    ],
)
def test_an_unsent_message_is_requeued_and_sent_later(world: World, ending: Ending, outcome: QueuedOutcome) -> None:
    assert _system(world, ending).send_queued(SMSID) is outcome
    assert world.status().state is SmsState.QUEUED
    assert list(world.outbox.entries) == [SMSID]
    assert _system(world).send_queued(SMSID) is QueuedOutcome.ACCEPTED
    assert len(world.provider.taken) == 1


def test_a_queued_message_that_became_invalid_is_rejected(world: World) -> None:
    world.provider.problem = InvalidRequestError(FieldProblem("text", "is too long"))
    assert _system(world).send_queued(SMSID) is QueuedOutcome.REJECTED
    assert world.status().state is SmsState.REJECTED
    assert not world.provider.submissions
    assert not world.outbox.entries


class _WithoutKey(ScriptedProvider):
    """A provider whose requests need a key that the store does not give."""

    def prepare(self, submission: SmsSubmission) -> SmsSubmission:
        raise StoreUnavailableError("the secret is not read")


def test_a_message_without_its_key_stays_queued_and_is_sent_later(world: World) -> None:
    with_key, world.provider = world.provider, _WithoutKey()
    assert _system(world).send_queued(SMSID) is QueuedOutcome.REQUEUED
    assert world.status().state is SmsState.QUEUED

    world.provider = with_key
    assert _system(world).send_queued(SMSID) is QueuedOutcome.ACCEPTED
    assert len(with_key.taken) == 1


@pytest.mark.parametrize(
    "error",
    [RateLimitTimeoutError("full"), LockedOutError("open", reason="555"), StoreUnavailableError("limits")],
    ids=["no slot", "locked out", "no store"],
)
def test_a_message_behind_a_closed_guard_stays_queued(world: World, error: SwitchboardError) -> None:
    assert _system(world, guard_raises=(error,)).send_queued(SMSID) is QueuedOutcome.REQUEUED
    assert world.status().state is SmsState.QUEUED
    assert not world.provider.submissions


@pytest.mark.parametrize("smsid", ["nothing", "orphan"])
def test_an_entry_without_a_message_needs_no_work(world: World, smsid: str) -> None:
    world.store.record_report(a_report("1", "orphan"), seen_at=world.clock.now())
    assert _system(world).send_queued(smsid) is QueuedOutcome.NOTHING_TO_DO
    assert not world.provider.submissions


def test_a_message_after_its_validity_is_not_sent(world: World) -> None:
    world.clock.advance(DEADLINES.submission_after_request)
    assert _system(world).send_queued(SMSID) is QueuedOutcome.NOTHING_TO_DO
    assert not world.provider.submissions
    assert world.status().state is SmsState.EXPIRED


def test_an_entry_without_a_store_is_delivered_again(world: World) -> None:
    broken = assembled(messages=down(InMemoryMessageStore), provider=world.provider)
    with pytest.raises(StoreUnavailableError):
        broken.send_queued(SMSID)
    assert not world.provider.submissions


def test_an_entry_without_a_queue_is_delivered_again(world: World) -> None:
    world.provider.script(Ending.RATE_LIMITED)
    system = assembled(messages=world.store, outbox=down(InMemoryOutbox), provider=world.provider, clock=world.clock)
    with pytest.raises(StoreUnavailableError):
        system.send_queued(SMSID)
    assert _system(world).send_queued(SMSID) is QueuedOutcome.ACCEPTED
    assert len(world.provider.taken) == 1


def test_a_claim_without_an_answer_is_unknown_and_not_sent(world: World) -> None:
    lost = assembled(messages=flaky(world.store, claim=[Answer.LOST] * 9), provider=world.provider, clock=world.clock)
    with pytest.raises(StoreUnavailableError):
        lost.send_queued(SMSID)
    assert _system(world).send_queued(SMSID) is QueuedOutcome.NOTHING_TO_DO
    world.clock.advance(DEADLINES.submission_after_claim)
    assert _system(world).query.one(SMSID, client=CLIENT).status.state is SmsState.UNKNOWN
    assert not world.provider.submissions

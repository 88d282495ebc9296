"""Requests about one subscription: two at once, of which neither undoes the other; rotations; the states it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from switchboard.domain.changes import ChangeKind
from switchboard.domain.errors import (
    InvalidRequestError,
    RecoveryInProgressError,
    ResourceNotFoundError,
    StoreUnavailableError,
    SubscriptionDisabledError,
)
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import MAX_SECRETS, DisabledReason, Subscription, SubscriptionState
from switchboard.usecases.subscription.deliver import SignedPoster
from switchboard.usecases.subscription.manage import ManageSubscriptions, SubscriptionSettings
from tests.builders import CLIENT, a_subscription
from tests.fakes import START, CountingIds, FixedClock
from tests.fakes.subscriptions import FixedSecrets, InMemoryHookQueue, InMemorySubscriptionStore
from tests.harness.webhooks.invocations import KEY

ID = "5" * 32
HOUR = timedelta(hours=1)


class AnyAddress:
    """A HookPoster that accepts everything."""

    def check(self, url: str) -> None:
        """Accept every address."""

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> None:
        """Accept every post."""


class RacedStore(InMemorySubscriptionStore):
    """A store to which another request comes between this one's read and its write."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Callable[[], object]] = []

    def change(self, before: Subscription, after: Subscription) -> bool:
        self._let_another_pass()
        return super().change(before, after)

    def delete(self, subscription: Subscription) -> bool:
        self._let_another_pass()
        return super().delete(subscription)

    def _let_another_pass(self) -> None:
        if self.others:
            self.others.pop()()


class System:
    """The use cases over stores in memory. Time passes with each look at the clock."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.store = RacedStore()
        self.store.create(a_subscription())
        self.queue = InMemoryHookQueue()
        secrets, poster = FixedSecrets(), AnyAddress()
        self.app = ManageSubscriptions(
            subscriptions=self.store,
            secrets=secrets,
            poster=poster,
            signed_poster=SignedPoster(poster=poster, secrets=secrets, clock=self.clock),
            queue=self.queue,
            clock=self.clock,
            new_id=CountingIds(),
            allow_loopback=False,
        )

    def create(self, events: set[ChangeKind], states: set[str]) -> Subscription:
        settings = SubscriptionSettings(
            url="https://hooks.example.com/",
            events=frozenset(events),
            states=frozenset(states),
            thin=False,
            description="",
        )
        return self.app.create(settings, key=KEY, own_hosts=())[0]

    def rotate(self) -> str:
        self.clock.advance(timedelta(milliseconds=1))
        return self.app.rotate(ID, key=KEY)[1]

    def change(self, **changes: Any) -> Subscription:
        self.clock.advance(timedelta(milliseconds=1))
        return self.app.change(ID, changes, key=KEY, own_hosts=())

    def recover(self) -> None:
        self.app.recover(ID, since=self.clock.now() - HOUR, key=KEY)

    def delete(self) -> None:
        self.app.delete(ID, client=CLIENT)

    def signing(self) -> list[int]:
        """Return the numbers of the secrets that sign now."""
        live = self.store.subscriptions[ID].live_generations(self.clock.now())
        return [generation.number for generation in live]


def test_a_change_does_not_undo_a_rotation_at_the_same_time() -> None:
    system = System()
    system.store.others.append(system.rotate)
    system.change(description="orders")
    assert system.signing() == [2, 1]
    assert system.store.subscriptions[ID].description == "orders"


def test_a_rotation_does_not_undo_a_change_at_the_same_time() -> None:
    system = System()
    system.store.others.append(lambda: system.change(thin=True))
    system.rotate()
    assert system.signing() == [2, 1]
    assert system.store.subscriptions[ID].thin


def test_two_rotations_at_the_same_time_give_two_secrets() -> None:
    system = System()
    secrets: list[str] = []
    system.store.others.append(lambda: secrets.append(system.rotate()))
    secrets.append(system.rotate())
    assert len(set(secrets)) == 2
    assert system.signing() == [3, 2, 1]


def test_a_deletion_leaves_every_list_that_was_entered_meanwhile() -> None:
    system = System()
    system.store.others.append(lambda: system.change(events=frozenset(ChangeKind)))
    system.delete()
    assert system.store.subscriptions == {}


def test_a_change_of_a_subscription_deleted_meanwhile_is_not_found() -> None:
    system = System()
    system.store.others.append(system.delete)
    with pytest.raises(ResourceNotFoundError):
        system.change(thin=True)


def _rest(system: System) -> None:
    before = system.store.subscriptions[ID]
    rest = replace(before, failing_since=START, last_problem="unreached", rests=1, rests_until=START + HOUR)
    system.store.record_failure(before, changed=replace(rest, due=START + HOUR))


def _end_rest(system: System) -> None:
    system.store.record_success(system.store.subscriptions[ID], at=START)


def _disable(system: System) -> None:
    system.store.disable(replace(system.store.subscriptions[ID], due=START), DisabledReason.GONE)


STATES: dict[str, list[Callable[[System], None]]] = {"active": [], "resting": [_rest], "disabled": [_disable]}
"""What leads to each state."""
TURNS = [
    pytest.param("active", _rest, id="a rest begins"),
    pytest.param("active", _disable, id="a post disables it"),
    pytest.param("resting", _end_rest, id="a rest ends"),
    pytest.param("resting", _disable, id="a probe disables it"),
]


@pytest.mark.parametrize(("before", "turn"), TURNS)
@pytest.mark.parametrize("changes", [{"thin": True}, {"state": "active"}], ids=["a setting", "active"])
def test_a_change_answers_the_state_that_is_stored(
    before: str, turn: Callable[[System], None], changes: dict[str, Any]
) -> None:
    system = System()
    for step in STATES[before]:
        step(system)
    system.store.others.append(lambda: turn(system))
    answer = system.change(**changes)
    assert answer == system.store.subscriptions[ID]
    if "state" in changes:
        assert (answer.disabled, answer.rests) == (None, 0)


@pytest.mark.parametrize("before", STATES)
def test_an_operators_disabling_is_not_undone_by_a_change_beside_it(before: str) -> None:
    system = System()
    for step in STATES[before]:
        step(system)

    def disable() -> None:
        present = system.store.subscriptions[ID]
        system.store.subscriptions[ID] = replace(present, disabled=DisabledReason.OPERATOR)

    system.store.others.append(disable)
    with pytest.raises(SubscriptionDisabledError):
        system.change(state="active")
    assert system.store.subscriptions[ID].disabled is DisabledReason.OPERATOR


@pytest.mark.parametrize("step", [_rest, _disable], ids=["resting", "disabled"])
def test_an_enabled_subscription_gets_one_post_and_no_other_until_it_has_ended(step: Callable[[System], None]) -> None:
    system = System()
    step(system)
    enabled = system.change(state="active")
    assert (enabled.state, enabled.rests_until) == (SubscriptionState.ACTIVE, system.clock.now())
    probing = replace(enabled, rests_until=system.clock.now() + HOUR)
    system.store.subscriptions[ID] = probing
    again = system.change(state="active")
    assert again.rests_until == probing.rests_until
    assert [entry for entry, _ in system.queue.entries] == [HookEntry(subscription=ID)] * 2


def test_an_active_subscription_stays_failing_if_it_is_enabled() -> None:
    system = System()
    failing = replace(a_subscription(), failures=2, failing_since=START, last_problem="unreached", due=START)
    system.store.subscriptions[ID] = failing
    answer = system.change(state="active")
    assert (answer.failing_since, answer.last_problem) == (START, "unreached")
    assert answer == system.store.subscriptions[ID]


@pytest.mark.parametrize("request_name", ["rotate", "delete"])
def test_a_subscription_that_changes_all_the_time_has_to_wait(request_name: str) -> None:
    system = System()

    def disturb() -> None:
        others, system.store.others = system.store.others, []
        system.change(thin=True)
        system.store.others = others

    system.store.others += [disturb] * 9
    with pytest.raises(StoreUnavailableError):
        getattr(system, request_name)()


def test_the_secret_of_a_rotation_whose_answer_was_lost_is_replaced() -> None:
    """The receiver still has the first secret: it signs for 24 hours after it was replaced."""
    system = System()
    system.rotate()
    system.clock.advance(HOUR)
    system.rotate()
    assert system.signing() == [3, 2, 1]
    system.clock.advance(23 * HOUR)
    assert system.signing() == [3, 2]
    system.clock.advance(HOUR)
    assert system.signing() == [3]


def test_many_rotations_leave_the_newest_secrets_and_the_oldest_that_are_live() -> None:
    system = System()
    for _ in range(20):
        system.rotate()
    assert system.signing() == [21, 20, 3, 2, 1]
    assert len(system.signing()) == MAX_SECRETS


@pytest.mark.parametrize(
    ("events", "states"),
    [
        pytest.param({ChangeKind.SMS}, {"nonsense"}, id="no state at all"),
        pytest.param({ChangeKind.SMS}, {"delivered", "nonsense"}, id="one of two"),
        pytest.param({ChangeKind.SMS}, {"verified"}, id="another kind's"),
        pytest.param({ChangeKind.SMS}, {"submitting"}, id="a message under way"),
        pytest.param({ChangeKind.VOICE_CALL}, {"submitting"}, id="a call under way"),
        pytest.param({ChangeKind.VOICE_CALL}, {"delivered"}, id="a call has no report"),
        pytest.param({ChangeKind.CIRCUIT}, {"half_open"}, id="a circuit"),
    ],
)
def test_a_state_that_no_event_shows_is_refused(events: set[ChangeKind], states: set[str]) -> None:
    system = System()
    with pytest.raises(InvalidRequestError, match=r"^states: must be states of `events`: \w+(, \w+)+$"):
        system.create(events, states)
    with pytest.raises(InvalidRequestError, match=r"^states: "):
        system.change(events=frozenset(events), states=frozenset(states))
    assert list(system.store.subscriptions.values()) == [a_subscription()]


@pytest.mark.parametrize(
    ("events", "states"),
    [
        pytest.param({ChangeKind.SMS}, {"delivered", "in_progress"}, id="messages"),
        pytest.param({ChangeKind.SMS, ChangeKind.VERIFICATION}, {"delivered", "verified"}, id="two kinds"),
        pytest.param({ChangeKind.VOICE_CALL}, {"accepted"}, id="calls"),
        pytest.param({ChangeKind.RECORDING}, {"stored", "forbidden"}, id="recordings"),
        pytest.param({ChangeKind.CIRCUIT}, {"open", "closed"}, id="circuits"),
    ],
)
def test_a_state_that_events_show_is_taken(events: set[ChangeKind], states: set[str]) -> None:
    assert System().create(events, states).states == frozenset(states)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"events": frozenset({ChangeKind.CIRCUIT})}, id="other events"),
        pytest.param({"states": frozenset({"open"})}, id="other states"),
    ],
)
def test_a_change_after_which_states_do_not_fit_is_refused(changes: dict[str, Any]) -> None:
    system = System()
    system.change(states=frozenset({"delivered"}))
    with pytest.raises(InvalidRequestError, match=r"^states: "):
        system.change(**changes)


def test_a_stored_state_that_no_event_shows_hinders_no_other_change() -> None:
    system = System()
    system.store.subscriptions[ID] = a_subscription(states=frozenset({"nonsense"}))
    assert system.change(description="orders").states == frozenset({"nonsense"})
    mended = system.change(events=frozenset({ChangeKind.CIRCUIT}), states=frozenset({"open"}))
    assert mended.states == frozenset({"open"})


def test_the_next_recovery_begins_when_the_last_one_can_be_over() -> None:
    system = System()
    system.recover()
    system.clock.advance(timedelta(seconds=30))
    with pytest.raises(RecoveryInProgressError) as refusal:
        system.recover()
    assert len(system.queue.entries) == 1
    system.clock.advance(timedelta(seconds=refusal.value.retry_after_s))
    system.recover()
    assert len(system.queue.entries) == 2


def test_a_recovery_that_did_not_begin_refuses_none() -> None:
    system = System()
    put = system.queue.put

    def fail(_entries: object) -> None:
        system.queue.put = put  # type: ignore[method-assign]
        raise StoreUnavailableError("put post into queue")

    system.queue.put = fail  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreUnavailableError):
        system.recover()
    system.recover()
    assert len(system.queue.entries) == 1

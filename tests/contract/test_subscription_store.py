"""The store of subscriptions and owed posts, in memory and on AWS."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

from switchboard.domain.changes import ChangeKind
from switchboard.domain.errors import StoreUnavailableError, SubscriptionLimitError
from switchboard.domain.subscription.queue_entries import HookEntry, Recovery, entry_from_json, entry_to_json
from switchboard.domain.subscription.subscriptions import (
    ChangedItem,
    DisabledReason,
    Generation,
    Subscription,
)
from switchboard.ports.subscriptions import SubscriptionStore
from switchboard.storage.subscriptions import (
    DynamoDbSubscriptionStore,
    EventBridgeDisabledEvents,
    SqsHookQueue,
    SubscribersQueue,
)
from tests.builders import CLIENT, a_subscription
from tests.contract.conftest import IMPLEMENTATIONS, REGION, Aws, choose
from tests.depth import at_depth
from tests.fakes import START
from tests.fakes.subscriptions import InMemoryHookQueue, InMemorySubscriptionStore
from tests.harness.webhooks.contents import Content, Contents, Operation
from tests.harness.webhooks.explorer import ITEM, ITEMS, Scenario, explore
from tests.harness.webhooks.scenarios import CHANGES, RELEASES, RETRY, SCENARIOS, a_mark

MINUTE = timedelta(minutes=1)
EVERYTHING = a_subscription(
    events=frozenset(ChangeKind),
    states=frozenset({"delivered"}),
    thin=True,
    description="orders",
    generations=(Generation(2, "2"), Generation(1, "1", until=START + MINUTE)),
)


@pytest.fixture
def dynamodb_subscriptions(aws: Aws, state_table_name: str) -> DynamoDbSubscriptionStore:
    return DynamoDbSubscriptionStore(client=aws.dynamodb, table=state_table_name)


@pytest.fixture(params=IMPLEMENTATIONS)
def store(request: pytest.FixtureRequest) -> SubscriptionStore:
    fake: Callable[[], SubscriptionStore] = InMemorySubscriptionStore
    return choose(request, fake, "dynamodb_subscriptions")


def read(store: SubscriptionStore) -> Subscription:
    subscription = store.get("5" * 32)
    assert subscription is not None
    return subscription


def fail(store: SubscriptionStore, **changes: Any) -> None:
    before = read(store)
    failure: dict[str, Any] = {"failing_since": START, "last_problem": "unreached", "revision": "r1"}
    changed = replace(before, **{"due": START + MINUTE} | failure | changes)
    store.record_failure(before, changed=changed)


@pytest.mark.parametrize("subscription", [a_subscription(), EVERYTHING], ids=["plain", "with everything"])
def test_a_subscription_comes_back_as_it_was_created(store: SubscriptionStore, subscription: Subscription) -> None:
    assert store.get(subscription.id) is None
    store.create(subscription)
    assert store.get(subscription.id) == subscription
    assert store.of_client(CLIENT) == [subscription]
    assert store.of_client("another") == []


def test_the_sixth_subscription_of_a_client_is_refused(store: SubscriptionStore) -> None:
    for number in range(5):
        store.create(a_subscription(id=str(number) * 32))
    with pytest.raises(SubscriptionLimitError):
        store.create(a_subscription(id="6" * 32))
    store.create(a_subscription(id="7" * 32, client="another"))
    store.delete(a_subscription(id="0" * 32))
    store.create(a_subscription(id="6" * 32))
    assert [found.id[0] for found in store.of_client(CLIENT)] == ["1", "2", "3", "4", "6"]


def test_changed_settings_leave_what_posts_have_recorded(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    before = read(store)
    fail(store)
    store.change(before, replace(before, events=frozenset({ChangeKind.RECORDING}), states=frozenset({"lost"})))
    changed = read(store)
    assert changed.events == frozenset({ChangeKind.RECORDING})
    assert (changed.states, changed.failures) == (frozenset({"lost"}), 1)
    store.change(changed, replace(changed, states=None))
    assert read(store).states is None


def test_settings_that_were_changed_meanwhile_are_kept(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    before = read(store)
    assert store.change(before, replace(before, events=frozenset(ChangeKind), updated_at=START + MINUTE))
    assert not store.change(before, replace(before, thin=True, updated_at=START + 2 * MINUTE))
    assert not store.delete(before)
    assert read(store).events == frozenset(ChangeKind)


def test_what_a_post_records_does_not_hinder_a_change(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    before = read(store)
    fail(store)
    assert store.change(before, replace(before, thin=True, updated_at=START + MINUTE))
    assert store.delete(read(store))


@pytest.mark.parametrize("rests", [False, True], ids=["active", "resting"])
def test_a_state_that_was_ended_meanwhile_is_kept(store: SubscriptionStore, *, rests: bool) -> None:
    store.create(a_subscription())
    if rests:
        fail(store, rests=1, rests_until=START + MINUTE)
    before = read(store)
    enabled = replace(before, rests_until=None, failures=0, rests=0, thin=True, updated_at=START + MINUTE)
    store.disable(replace(before, due=START), DisabledReason.OPERATOR)
    assert not store.change(before, enabled)
    disabled = read(store)
    assert (disabled.disabled, disabled.thin) == (DisabledReason.OPERATOR, False)
    assert not store.change(replace(disabled, disabled=DisabledReason.GONE), replace(enabled, disabled=None))
    assert store.change(disabled, replace(disabled, thin=True, updated_at=START + MINUTE))
    assert read(store).disabled is DisabledReason.OPERATOR


def test_a_rest_that_has_begun_or_ended_meanwhile_is_kept(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    active = read(store)
    fail(store, rests=1, rests_until=START + MINUTE)
    resting = read(store)
    assert not store.change(active, replace(active, thin=True))
    store.record_success(resting, at=START)
    assert not store.change(resting, replace(resting, thin=True))
    assert store.change(read(store), replace(read(store), thin=True))


def test_a_deleted_subscription_cannot_be_changed(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    store.delete(a_subscription())
    assert store.get("5" * 32) is None
    assert not store.change(a_subscription(), a_subscription(thin=True))
    assert not store.delete(a_subscription())
    fail_after_deletion = replace(a_subscription(), due=START)
    store.record_failure(a_subscription(), changed=fail_after_deletion)
    assert store.get("5" * 32) is None


def test_a_new_mark_takes_the_place_of_the_former(store: SubscriptionStore) -> None:
    assert store.mark_of("5" * 32, ITEM) is None
    store.put_mark(a_mark(token="t1"))
    store.put_mark(a_mark(token="t2", attempts=2))
    assert store.mark_of("5" * 32, ITEM) == a_mark(token="t2", attempts=2)


def test_only_the_mark_with_this_token_is_deleted(store: SubscriptionStore) -> None:
    store.put_mark(a_mark(token="t2"))
    store.delete_mark(a_mark(token="t1"))
    assert store.mark_of("5" * 32, ITEM) is not None
    store.delete_mark(a_mark(token="t2"))
    assert store.mark_of("5" * 32, ITEM) is None
    store.delete_mark(a_mark(token="t2"))


def test_a_mark_is_postponed_once(store: SubscriptionStore) -> None:
    store.put_mark(a_mark())
    assert not store.postpone_mark(a_mark(token="t2"), due=START + 2 * MINUTE)
    assert store.postpone_mark(a_mark(), due=START + 2 * MINUTE)
    assert not store.postpone_mark(a_mark(), due=START + 3 * MINUTE)
    assert not store.postpone_mark(a_mark(item=ChangedItem(ChangeKind.SMS, "another")), due=START)


def test_marks_are_found_in_the_order_of_their_times(store: SubscriptionStore) -> None:
    marks = [a_mark(item=ChangedItem(ChangeKind.SMS, f"m{n}"), due=START + n * MINUTE) for n in (3, 1, 2)]
    for mark in marks:
        store.put_mark(mark)
    store.put_mark(a_mark(subscription="6" * 32))
    found = store.owed("5" * 32, until=START + 2 * MINUTE, limit=10)
    assert [mark.item.id for mark in found] == ["m1", "m2"]
    assert [mark.item.id for mark in store.owed("5" * 32, until=None, limit=1)] == ["m1"]


def test_failures_count_up_and_the_earliest_time_stays(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    fail(store, due=START + 2 * MINUTE)
    fail(store, due=START + 5 * MINUTE, rests=1, rests_until=START + MINUTE)
    found = read(store)
    assert (found.failures, found.due, found.rests, found.rests_until) == (2, START + 2 * MINUTE, 1, START + MINUTE)
    fail(store, due=START + MINUTE)
    assert read(store).due == START + MINUTE


def test_a_success_ends_failures_and_rest_once(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    assert not store.record_success(read(store), at=START)
    fail(store, rests=1, rests_until=START + MINUTE)
    assert store.record_success(read(store), at=START)
    assert not store.record_success(read(store), at=START)
    found = read(store)
    assert (found.failures, found.rests, found.rests_until, found.due) == (0, 0, None, START)


def test_a_subscription_is_disabled_once_and_enabled_again(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    fail(store)
    before = replace(read(store), due=START + 2 * MINUTE)
    store.clear_due(before)
    assert store.disable(before, DisabledReason.GONE)
    assert not store.disable(before, DisabledReason.FAILING)
    disabled = read(store)
    assert (disabled.disabled, disabled.due) == (DisabledReason.GONE, START + 2 * MINUTE)
    assert list(store.overdue(now=START + 2 * MINUTE, limit=5)) == [disabled]
    assert not store.postpone(disabled, due=START)
    store.clear_due(disabled)
    assert read(store).due is None
    store.change(disabled, replace(disabled, disabled=None, failures=0, failing_since=None, due=START))
    assert (read(store).disabled, read(store).failures, read(store).due) == (None, 0, START)


def test_a_round_postpones_only_what_it_has_read(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    before = read(store)
    fail(store)
    assert not store.postpone(before, due=START + 9 * MINUTE)
    after = read(store)
    assert store.postpone(after, due=START + 9 * MINUTE, rests_until=START + 8 * MINUTE)
    assert not store.postpone(after, due=START + 10 * MINUTE)
    assert (read(store).due, read(store).rests_until) == (START + 9 * MINUTE, START + 8 * MINUTE)


def test_of_two_rounds_at_one_instant_one_prolongs_the_rest(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    fail(store, rests=1, rests_until=START + MINUTE)
    before = read(store)
    probe = {"due": START + MINUTE, "rests_until": START + 2 * MINUTE}
    assert store.postpone(before, **probe)
    assert not store.postpone(before, **probe)


def test_a_recoverys_end_is_set_by_who_knows_the_former(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    before = read(store)
    assert store.prolong_recovery(before, until=START + MINUTE)
    assert not store.prolong_recovery(before, until=START)
    store.disable(replace(read(store), due=START), DisabledReason.GONE)
    disabled = read(store)
    assert store.prolong_recovery(disabled, until=START + 2 * MINUTE)
    assert store.change(disabled, replace(disabled, disabled=None, due=START))
    assert read(store).recovers_until == START + 2 * MINUTE
    store.delete(read(store))
    assert not store.prolong_recovery(before, until=START)


def test_overdue_subscriptions_are_found_in_one_of_the_shards(store: SubscriptionStore) -> None:
    store.create(a_subscription())
    fail(store)

    def overdue(minutes: int) -> list[Any]:
        return list(store.overdue(now=START + minutes * MINUTE, limit=5))

    assert overdue(0) == []
    assert overdue(1) == [read(store)]


class ComparedContents(Contents):
    """The contents of the fake: the DynamoDB store has to give the same answers, and to leave the same contents.

    It is a DynamoDB client whose index lags behind.
    """

    def __init__(self, aws: Aws, table: str, *, limit: int) -> None:
        super().__init__(InMemorySubscriptionStore)
        self._client = aws.dynamodb
        self._real = DynamoDbSubscriptionStore(client=cast("Any", self), table=table)
        self._table: Any = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][REGION].tables[table]
        self._items: dict[int, Any] = {}
        self._index: Any = None
        self._limit = limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def query(self, **arguments: Any) -> Any:
        """Ask the index, which shows an earlier content of the table."""
        present, self._table.items = self._table.items, self._index
        try:
            return self._client.query(**arguments)
        finally:
            self._table.items = present

    def _apply(self, content: int, index: int, operation: Operation) -> tuple[Any, int]:
        answer, after = super()._apply(content, index, operation)
        if self.operations <= self._limit:
            self._index = self._items_of(index)
            self._table.items = copy.deepcopy(self._items_of(content))
            real = operation.call(self._real)
            if isinstance(answer, tuple):
                real = tuple(real)
            assert real == answer, operation
            assert self._read() == self.known.values[after], operation
            self._items.setdefault(after, self._table.items)
        return answer, after

    def _items_of(self, content: int) -> Any:
        """Return the table's items with this content. What no operation has left is written."""
        if content not in self._items:
            subscription, marks = self.known.values[content]
            self._table.items = defaultdict(dict)
            self._real.create(subscription)
            for _ in range(subscription.failures):
                self._real.record_failure(subscription, changed=subscription)
            for mark in marks:
                self._real.put_mark(mark)
            self._items[content] = self._table.items
        return self._items[content]

    def _read(self) -> Content:
        subscription = self._real.get("5" * 32)
        assert subscription is not None
        marks = (self._real.mark_of("5" * 32, item) for item in ITEMS)
        return Content(subscription, tuple(mark for mark in marks if mark is not None))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_each_operation_of_the_explorer_ends_alike_in_both_stores(
    aws: Aws, state_table_name: str, scenario: Scenario
) -> None:
    contents = ComparedContents(aws, state_table_name, limit=at_depth(usual=40, proof=1_000))
    small = scenario in (CHANGES, RETRY, RELEASES)
    explore(replace(scenario, faults=at_depth(usual=int(small), proof=1), at_once=1), contents=contents)
    assert contents.operations >= 40


@pytest.mark.parametrize(
    "entry",
    [
        HookEntry(subscription="5" * 32),
        HookEntry(subscription="5" * 32, after_rest=True),
        HookEntry(subscription="5" * 32, item=ITEM),
        HookEntry(subscription="5" * 32, item=ITEM, token="t1", probe=True),
        HookEntry(subscription="5" * 32, recovery=Recovery(since=START, kind=ChangeKind.RECORDING, position="p")),
    ],
    ids=["release", "release after a rest", "change", "probe", "recovery"],
)
def test_a_queue_entry_is_read_as_it_was_written(entry: HookEntry) -> None:
    assert entry_from_json(entry_to_json(entry)) == entry


def test_a_change_goes_to_the_subscriptions_that_want_its_kind(
    aws: Aws, dynamodb_subscriptions: DynamoDbSubscriptionStore, state_table_name: str
) -> None:
    dynamodb_subscriptions.create(a_subscription())
    dynamodb_subscriptions.create(a_subscription(id="6" * 32, events=frozenset({ChangeKind.RECORDING})))
    dynamodb_subscriptions.create(
        a_subscription(id="7" * 32, client="another", events=frozenset({ChangeKind.RECORDING}))
    )
    queue = InMemoryHookQueue()
    notify = SubscribersQueue(client=aws.dynamodb, table=state_table_name, queue=queue)

    for client, kind, item_id in (
        (CLIENT, "sms", "order1001"),
        (CLIENT, "verification", "v1"),
        ("another", "sms", "order2"),
        (None, "sms", "older than the clients"),
        (None, "recording", "r1"),
    ):
        notify.enqueue(client, kind, item_id)

    assert sorted((entry.subscription[0], entry.item and entry.item.id) for entry, _ in queue.entries) == [
        ("5", "order1001"),
        ("6", "r1"),
        ("7", "r1"),
    ]


def test_a_list_of_subscriptions_is_read_again_after_five_seconds(
    aws: Aws, dynamodb_subscriptions: DynamoDbSubscriptionStore, state_table_name: str
) -> None:
    now = [0.0]
    queue = InMemoryHookQueue()
    notify = SubscribersQueue(client=aws.dynamodb, table=state_table_name, queue=queue, monotonic=lambda: now[0])
    notify.enqueue(CLIENT, "sms", "before")
    dynamodb_subscriptions.create(a_subscription())
    now[0] = 5.0
    notify.enqueue(CLIENT, "sms", "cached")
    now[0] = 5.1
    notify.enqueue(CLIENT, "sms", "after")
    assert [entry.item for entry, _ in queue.entries] == [ChangedItem(ChangeKind.SMS, "after")]


def test_entries_reach_the_queue_ten_at_a_time_with_their_delays(aws: Aws) -> None:
    url = aws.sqs.create_queue(QueueName=aws.unique("hooks"))["QueueUrl"]
    queue = SqsHookQueue(client=lambda: aws.sqs, queue_url=url)
    queue.put([])
    queue.put([(HookEntry(subscription="5" * 32), 0 if number < 11 else 900) for number in range(23)])
    attributes = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "11"
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "12"


def test_an_event_that_the_bus_refuses_is_not_taken_for_published() -> None:
    class FullBus:
        def put_events(self, **_: Any) -> dict[str, Any]:
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}

    tell = EventBridgeDisabledEvents(client=FullBus, bus="changes")
    with pytest.raises(StoreUnavailableError):
        tell(a_subscription(), DisabledReason.GONE, START)

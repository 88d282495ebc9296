"""Explore all states to which one subscription can come (I35): the real use cases, with a set of the states seen.

A state is what the store holds, what its index shows, the queue, the invocations under way, the items, the receiver and
the clock. From each state every possible step is taken: one operation of one invocation with one of its endings, a
delivery of an entry, a change, a request of the client, a round of the sweep, or the time of what is due next.

The use cases are the real ones. An invocation is repeated from its beginning with the answers that it has had, up to
its next operation, and what follows from the same answers is remembered. So is an operation on the same content of the
store. `Contents` applies it to the fake; tests/contract/test_subscription_store.py applies it to the DynamoDB store as
well, whose answer and content must be the fake's. A crash is a store that does not answer: the use cases catch neither.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import pairwise
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast
from unittest.mock import patch

from switchboard.domain.api_keys import ApiKey, Scope
from switchboard.domain.changes import ChangeKind
from switchboard.domain.errors import (
    HookGoneError,
    HookTimedOutError,
    HookUnreachedError,
    RecoveryInProgressError,
    StoreUnavailableError,
    SubscriptionDisabledError,
)
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import (
    ChangedItem,
    DisabledReason,
    OwedPost,
    Subscription,
    recovery_end,
)
from switchboard.ports.subscriptions import SubscriptionStore
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.subscription import release
from switchboard.usecases.subscription.deliver import DeliverChange, DeliveryOutcome, SignedPoster
from switchboard.usecases.subscription.handle_entry import HandleHookEntry
from switchboard.usecases.subscription.manage import ManageSubscriptions
from switchboard.usecases.subscription.release import RecoverChanges, ReleaseOverdueSubscriptions, ReleaseOwedPosts
from tests.builders import CLIENT, a_subscription
from tests.fakes import START
from tests.fakes.subscriptions import FixedSecrets, InMemorySubscriptionStore, a_change
from tests.harness.explorer import ViolationError, demand

SUBSCRIPTION: Final = a_subscription()
ITEM: Final = ChangedItem(ChangeKind.SMS, "order1001")
ITEMS: Final = (ITEM, ChangedItem(ChangeKind.SMS, "order1002"))
KEY: Final = ApiKey(id="key-1", client=CLIENT, name="", scopes=frozenset(Scope))
SWEEP: Final = "sweep"
REQUESTS: Final = ("enable", "rotate", "recover")
"""The client's requests, which it repeats until they are answered."""
RESTORED: Final = "restored"
"""The receiver has lost what it got, and asks for it again."""
GONE: Final = "gone"
"""The receiver answers one post with 410."""
MINUTE: Final = "minute"
"""A minute passes, also during an invocation."""
_WRITES: Final = frozenset(
    {"put_mark", "delete_mark", "postpone_mark", "record_failure", "record_success", "disable", "clear_due"}
    | {"postpone", "change", "prolong_recovery"}
)
_LONGEST_S: Final = 40 * 24 * 3_600
_ROUND: Final = 2
_TOKENS: Final = tuple(map(str, range(100)))
_UNAVAILABLE: Final = StoreUnavailableError("scripted")
_UNREACHED: Final = HookUnreachedError("scripted")
_TIMED_OUT: Final = HookTimedOutError("scripted")
_GONE: Final = HookGoneError(410)

T = TypeVar("T", bound=Hashable)


class Interned(Generic[T]):
    """Values by numbers: equal values have one number."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        """Return the value's number."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One call of a port. Equal calls are one object."""

    port: str
    name: str
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def values(self) -> Hashable:
        """What makes calls equal."""
        return self.port, self.name, self.arguments, self.options

    def call(self, target: object) -> Any:
        """Make the call."""
        return getattr(target, self.name)(*self.arguments, **dict(self.options))

    def __str__(self) -> str:
        return f"{self.port}.{self.name}"


class Content(NamedTuple):
    """What the store holds: the subscription, and the marks in the order of their items."""

    subscription: Subscription
    marks: tuple[OwedPost, ...]


class Contents:
    """The store's contents, and what each operation on them answers and leaves."""

    def __init__(self, store: type[InMemorySubscriptionStore]) -> None:
        self.known = Interned[Content]()
        self.operations = 0
        self._store = store()
        self._applied: dict[tuple[int, int, Operation], tuple[Any, int]] = {}
        self._answers = Interned[Any]()

    def apply(self, content: int, index: int, operation: Operation) -> tuple[Any, int]:
        """Return the operation's answer, and the content that it leaves, while the index shows the content `index`."""
        key = content, index, operation
        if key not in self._applied:
            self.operations += 1
            self._applied[key] = self._apply(*key)
        return self._applied[key]

    def _apply(self, content: int, index: int, operation: Operation) -> tuple[Any, int]:
        self._store.subscriptions, self._store.marks = _to_dicts(self.known.values[content])
        self._store.index = _to_dicts(self.known.values[index])
        answer = operation.call(self._store)
        [subscription] = self._store.subscriptions.values()
        marks = tuple(sorted(self._store.marks.values(), key=lambda mark: mark.item.id))
        if not (answer is None or isinstance(answer, bool | Subscription | OwedPost)):
            answer = tuple(answer)
        answer = self._answers.values[self._answers.number((type(answer), answer))][1]
        return answer, self.known.number(Content(subscription, marks))


def _to_dicts(content: Content) -> tuple[dict[str, Subscription], dict[tuple[str, ChangedItem], OwedPost]]:
    marks = {(mark.subscription, mark.item): mark for mark in content.marks}
    return {content.subscription.id: content.subscription}, marks


@dataclass(frozen=True, slots=True)
class Parts:
    """The classes of which a system is made. A mutant replaces some."""

    store: type[InMemorySubscriptionStore] = InMemorySubscriptionStore
    deliver: type[DeliverChange] = DeliverChange
    release: type[ReleaseOwedPosts] = ReleaseOwedPosts
    recover: type[RecoverChanges] = RecoverChanges
    manage: type[ManageSubscriptions] = ManageSubscriptions


class _Pending(BaseException):
    """The invocation makes an operation that has no answer yet."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of an invocation. With `again` its entry comes again; with `refused` the subscription was disabled."""

    again: bool = False
    refused: bool = False


@dataclass(slots=True)
class _Invocation:
    entry: int
    answers: tuple[tuple[Any, int], ...]
    """Each answer with its time. The first is no answer: it has the time of the beginning."""
    tokens: frozenset[str]
    next: Operation | Ended | None = None


class _Port:
    def __init__(self, ask: Callable[[Operation], Any], name: str) -> None:
        self._ask = ask
        self._name = name

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return self._ask(Operation(self._name, operation, arguments, tuple(sorted(options.items()))))

        self.__dict__[operation] = call
        return call


class Invocations:
    """The invocations of the real use cases, each as far as its answers lead it."""

    def __init__(self, parts: Parts) -> None:
        self.entries = Interned[HookEntry | str]()
        self.invocations: list[_Invocation] = []
        self._operations: dict[Hashable, Operation] = {}
        self._begun: dict[tuple[int, int], int] = {}
        self._followed: dict[tuple[int, int, int], int] = {}
        self._answers: Iterator[tuple[Any, int]] = iter(())
        self._now = 0
        hooks = cast("SubscriptionStore", _Port(self._ask, "hooks"))
        views, new_id = cast("Any", _Port(self._ask, "items")), partial(self._ask, Operation("ids", "new"))
        queue: Any = self
        poster = SignedPoster(poster=cast("Any", self), secrets=FixedSecrets(), clock=cast("Any", self))
        shared: dict[str, Any] = {"subscriptions": hooks, "queue": queue, "clock": self}
        deliver = parts.deliver(
            **shared,
            views=views,
            poster=poster,
            find_key=lambda _key_id: KEY,
            on_disabled=lambda *_: self._ask(Operation("bus", "disabled")),
            new_id=new_id,
            random=lambda: 0.5,
        )
        self._handle = HandleHookEntry(
            deliver=deliver,
            release=parts.release(**shared),
            recover=parts.recover(**shared, views=views, new_id=new_id),
        )
        self._sweep = ReleaseOverdueSubscriptions(**shared)
        self._manage = parts.manage(
            **shared,
            secrets=FixedSecrets(),
            poster=cast("Any", self),
            signed_poster=poster,
            new_id=new_id,
            allow_loopback=False,
        )

    def begin(self, entry: int, now: int) -> int:
        """Return the invocation that has just taken the entry."""
        if (entry, now) not in self._begun:
            self._begun[entry, now] = self._add(_Invocation(entry, ((None, now),), frozenset()))
        return self._begun[entry, now]

    def answer(self, number: int, answer: Any, now: int) -> int:
        """Return the invocation after the answer of its next operation. Equal answers are one object."""
        key = number, id(answer), now
        if key not in self._followed:
            before = self.invocations[number]
            answers, tokens = (*before.answers, (answer, now)), before.tokens | tokens_in(answer)
            self._followed[key] = self._add(_Invocation(before.entry, answers, tokens))
        return self._followed[key]

    def next(self, number: int) -> Operation | Ended:
        """Return the next operation of an invocation, or its end."""
        invocation = self.invocations[number]
        if invocation.next is None:
            invocation.next = self._run(invocation)
        return invocation.next

    def now(self) -> datetime:
        return START + timedelta(seconds=self._now)

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        self._ask(Operation("queue", "put", tuple(entries)))

    def check(self, url: str) -> None:
        """Accept every address."""

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> None:
        self._ask(Operation("receiver", "post", (headers["webhook-id"], body)))

    def _add(self, invocation: _Invocation) -> int:
        self.invocations.append(invocation)
        return len(self.invocations) - 1

    def _ask(self, operation: Operation) -> Any:
        try:
            answer, self._now = next(self._answers)
        except StopIteration:
            raise _Pending(operation) from None
        if isinstance(answer, Exception):
            raise answer.with_traceback(None)
        return answer

    def _run(self, invocation: _Invocation) -> Operation | Ended:
        self._answers = iter(invocation.answers)
        _, self._now = next(self._answers)
        entry = self.entries.values[invocation.entry]
        try:
            if isinstance(entry, HookEntry):
                outcome = self._handle(entry)
                disabled = outcome is DeliveryOutcome.NOTHING_TO_DO and _read_state(invocation).disabled is not None
                is_new = entry.recovery is not None or (entry.item is not None and entry.token is None)
                return Ended(refused=disabled and is_new)
            self._manage_or_sweep(entry)
        except _Pending as pending:
            operation = self._operations.setdefault(pending.operation.values, pending.operation)
            self._check(operation, entry, invocation)
            return operation
        except StoreUnavailableError:
            return Ended(again=True)
        except SubscriptionDisabledError:
            return Ended(refused=True)
        except RecoveryInProgressError:
            # The client takes it for its own, whose answer it has not got.
            return Ended()
        return Ended()

    def _manage_or_sweep(self, entry: str) -> None:
        match entry:
            case "enable":
                self._manage.change(SUBSCRIPTION.id, {"state": "active"}, key=KEY, own_hosts=())
            case "rotate":
                self._manage.rotate(SUBSCRIPTION.id, key=KEY)
            case "recover":
                self._manage.recover(SUBSCRIPTION.id, since=START - timedelta(days=1), key=KEY)
            case _:
                self._sweep(SweepReport(), limit=10)

    def _check(self, operation: Operation, entry: HookEntry | str, invocation: _Invocation) -> None:
        """Check what one invocation alone has to keep: it posts what it has read, and only what it may."""
        if operation.port != "receiver":
            return
        assert isinstance(entry, HookEntry)
        state = _read_state(invocation)
        views = {change.id for change, _ in invocation.answers if hasattr(change, "snapshot")}
        demand(operation.arguments[0] in views, "I35", "it posts a view that it has not read")
        demand(state.disabled is None, "I35", "it posts to a disabled subscription")
        demand(state.rests_until is None or entry.probe, "I35", "it posts to an address that rests")


def _read_state(invocation: _Invocation) -> Subscription:
    return next(answer for answer, _ in invocation.answers if isinstance(answer, Subscription))


def tokens_in(value: Any) -> frozenset[str]:
    """Return the tokens that an answer, an entry or a content names."""
    match value:
        case str():
            return frozenset({value})
        case Subscription(revision=token) | OwedPost(token=token) | HookEntry(token=str(token)):
            return frozenset({token})
        case tuple():
            return frozenset().union(*map(tokens_in, value))
        case _:
            return frozenset()


class State(NamedTuple):
    """One state. Times are seconds since START; invocations, contents and entries are numbers."""

    content: int
    shown: int
    """The content that the index shows."""
    queue: tuple[tuple[int, int], ...]
    """Each entry after the time from which on it can be taken."""
    invocations: tuple[int, ...]
    sequences: tuple[int, ...]
    received: tuple[int, ...]
    """The highest sequence of each item that the receiver has got."""
    unpromised: bool
    """An entry came while the subscription was disabled: only a recovery brings such changes."""
    now: int
    failing: int
    """The number of posts that are yet to fail, since the receiver is down."""
    events: tuple[str, ...]
    """The events of the outside that may still happen."""
    faults: int
    """The faults of stores, posts, index and queue that may still happen."""


Step = tuple[tuple[object, ...], State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A state to begin with, and what may happen from there on."""

    name: str
    subscription: Subscription = SUBSCRIPTION
    marks: tuple[OwedPost, ...] = ()
    entries: tuple[HookEntry, ...] = ()
    items: int = 1
    events: tuple[str, ...] = ()
    failing: int = 0
    faults: int = 1
    at_once: int = 2


class Explorer:
    """The states that can be reached from a scenario's first, each of which is seen once."""

    def __init__(self, scenario: Scenario, invocations: Invocations, contents: Contents) -> None:
        self.invocations = invocations
        self.seen: dict[State, State | None] = {}
        self._bodies: dict[str, bytes] = {}
        self._scenario = scenario
        self._contents = contents
        self._tokens: dict[tuple[str, int], frozenset[str]] = {}
        content = contents.known.number(Content(scenario.subscription, scenario.marks))
        owed = {mark.item for mark in scenario.marks} | {entry.item for entry in scenario.entries}
        self._first = State(
            content=content,
            shown=content,
            queue=tuple(sorted((0, self._entry(entry)) for entry in scenario.entries)),
            invocations=(),
            sequences=(1,) * scenario.items,
            received=tuple(0 if item in owed else 1 for item in ITEMS[: scenario.items]),
            unpromised=False,
            now=0,
            failing=scenario.failing,
            events=tuple(sorted(scenario.events)),
            faults=scenario.faults,
        )

    def explore(self) -> int:
        """Visit all states, those of the fewest steps first, and return their number.

        Raises:
            ViolationError: a state breaks I35. The error has the way to it as a note.
        """
        self.seen = {self._first: None}
        open_states = deque([self._first])
        state = self._first
        try:
            while open_states:
                state = open_states.popleft()
                inside = [*self._steps_inside(state)]
                if not inside:
                    self._check_end(state)
                for _, following in (*inside, *self._steps_outside(state)):
                    if following not in self.seen:
                        self.seen[following] = state
                        open_states.append(following)
        except ViolationError as error:
            error.add_note(self._way_to(state))
            raise
        return len(self.seen)

    def _steps_outside(self, state: State) -> Iterator[Step]:
        for event in dict.fromkeys(state.events):
            yield from self._happen(state, event)

    def _steps_inside(self, state: State) -> Iterator[Step]:
        yield from self._take_entries(state)
        for place, number in enumerate(state.invocations):
            others = state.invocations[:place] + state.invocations[place + 1 :]
            yield from self._operate(state._replace(invocations=others), number)
        if state.shown != state.content:
            yield ("the index shows the present",), state._replace(shown=state.content)
        elif not state.invocations and (then := self._next_time(state)) is not None:
            yield ("time passes",), state._replace(now=then)

    def _take_entries(self, state: State) -> Iterator[Step]:
        if len(state.invocations) >= self._scenario.at_once:
            return
        for at, entry in dict.fromkeys(state.queue):
            if at <= state.now:
                taken = self._begin(state, entry)
                rest = list(state.queue)
                rest.remove((at, entry))
                yield ("take", entry), taken._replace(queue=tuple(rest))
                if state.faults and isinstance(self.invocations.entries.values[entry], HookEntry):
                    yield ("take a copy", entry), taken._replace(faults=state.faults - 1)
        sweep, started = self._entry(SWEEP), self._entry(HookEntry(subscription=SUBSCRIPTION.id))
        runs = any(self.invocations.invocations[number].entry == sweep for number in state.invocations)
        due = self._contents.known.values[state.shown].subscription.due
        # What one sweep has started is done before the next, which comes a minute later.
        if due is not None and _seconds(due) <= state.now and not runs and (state.now, started) not in state.queue:
            yield ("sweep",), self._begin(state, sweep)

    def _happen(self, state: State, event: str) -> Iterator[Step]:
        events = list(state.events)
        events.remove(event)
        after = state._replace(events=tuple(events))
        if event.isdigit():
            item = int(event)
            sequences = _replaced(state.sequences, item, state.sequences[item] + 1)
            change = self._entry(HookEntry(subscription=SUBSCRIPTION.id, item=ITEMS[item]))
            yield (event, "changes"), self._put(after._replace(sequences=sequences), [(change, 0)])
        elif event == MINUTE:
            yield (event,), after._replace(now=state.now + 60)
        elif event == RESTORED:
            lost = after._replace(received=(0,) * len(state.received), unpromised=False)
            yield (event,), self._put(lost, [(self._entry("recover"), 0)])
        elif event in REQUESTS:
            yield (event,), self._put(after, [(self._entry(event), 0)])

    def _operate(self, state: State, number: int) -> Iterator[Step]:
        """Take the next step of an invocation that is no longer among those of `state`."""
        operation = self.invocations.next(number)
        assert isinstance(operation, Operation)
        answered = partial(self._answered, number=number, operation=operation)
        faulty = state._replace(faults=state.faults - 1) if state.faults else None
        match operation.port:
            case "receiver":
                yield from self._post(state, number, operation)
                return
            case "hooks":
                answer, content = self._contents.apply(state.content, state.shown, operation)
                done = state._replace(content=content, shown=content if state.shown == state.content else state.shown)
                if operation.name == "change" and answer:
                    stored, shown = self._contents.known.values[content].subscription, operation.arguments[1]
                    demand(stored.state is shown.state, "I35", f"an answer shows {shown.state} for {stored.state}")
                if faulty is not None and content != state.content and state.shown == state.content:
                    lagging = faulty._replace(content=content)
                    yield (operation, "the index lags"), answered(lagging, answer)
            case "queue":
                answer, done = None, self._put_all(state, operation)
            case "items":
                answer, done = self._read(state, operation), state
            case _:
                answer, done = None, state
        yield (operation,), answered(done, answer)
        if faulty is not None:
            yield (operation, "not applied"), answered(faulty, _UNAVAILABLE)
            if operation.name in _WRITES or operation.port == "queue":
                lost = done._replace(faults=state.faults - 1)
                yield (operation, "answer lost"), answered(lost, _UNAVAILABLE)

    def _post(self, state: State, number: int, operation: Operation) -> Iterator[Step]:
        webhook_id, body = operation.arguments
        demand(self._bodies.setdefault(webhook_id, body) == body, "I35", "one id has two bodies")
        _, item_id, sequence, _ = webhook_id.split("_")
        item = next(place for place, item in enumerate(ITEMS) if item.id == item_id)
        answered = partial(self._answered, number=number, operation=operation)
        if state.failing:
            yield (operation, "down"), answered(state._replace(failing=state.failing - 1), _UNREACHED)
            return
        received = state._replace(received=_replaced(state.received, item, max(int(sequence), state.received[item])))
        yield (operation,), answered(received, None)
        if GONE in state.events:
            events = list(state.events)
            events.remove(GONE)
            yield (operation, GONE), answered(state._replace(events=tuple(events)), _GONE)
        if state.faults:
            faults = state.faults - 1
            entry = self.invocations.invocations[number].entry
            for after, problem in ((state, _UNREACHED), (received, _TIMED_OUT)):
                faulty = after._replace(faults=faults)
                yield (operation, problem, "crash"), self._put(faulty, [(entry, 0)])
                yield (operation, problem), answered(faulty, problem)

    def _read(self, state: State, operation: Operation) -> Any:
        if operation.name == "read":
            return a_change(operation.arguments[0], state.sequences[ITEMS.index(operation.arguments[0])])
        place = int(dict(operation.options)["position"] or 0)
        return _page(place, len(state.sequences))

    def _answered(self, state: State, answer: Any, *, number: int, operation: Operation) -> State:
        """Return the state in which the invocation has the answer, and stands at its next operation or has ended."""
        number = self.invocations.answer(number, answer, state.now)
        following = self.invocations.next(number)
        while isinstance(following, Operation) and following.port == "ids":
            number = self.invocations.answer(number, self._new_token(state, number), state.now)
            following = self.invocations.next(number)
        if isinstance(following, Operation):
            return state._replace(invocations=tuple(sorted((*state.invocations, number))))
        entry = self.invocations.invocations[number].entry
        if following.again and self.invocations.entries.values[entry] != SWEEP:
            state = self._put(state, [(entry, 0)])
        return state._replace(unpromised=True) if following.refused else state

    def _begin(self, state: State, entry: int) -> State:
        number = self.invocations.begin(entry, state.now)
        return state._replace(invocations=tuple(sorted((*state.invocations, number))))

    def _put_all(self, state: State, operation: Operation) -> State:
        entries = [(self._entry(entry), delay_s) for entry, delay_s in operation.arguments]
        under_way = {entry for _, entry in state.queue}
        under_way.update(self.invocations.invocations[number].entry for number in state.invocations)
        probes = [entry for entry, _ in entries if getattr(self.invocations.entries.values[entry], "probe", False)]
        demand(under_way.isdisjoint(probes), "I35", "two probes of one rest")
        return self._put(state, entries)

    def _put(self, state: State, entries: Sequence[tuple[int, int]]) -> State:
        put = ((state.now + delay_s, entry) for entry, delay_s in entries)
        return state._replace(queue=tuple(sorted((*state.queue, *put))))

    def _entry(self, entry: HookEntry | str) -> int:
        return self.invocations.entries.number(entry)

    def _new_token(self, state: State, number: int) -> str:
        """Return the first token that is nowhere in the state: one that has gone may come again."""
        used = self._tokens_of("content", state.content).union(
            *(self._tokens_of("entry", entry) for _, entry in state.queue),
            *(self._tokens_of("invocation", other) for other in (*state.invocations, number)),
        )
        return next(token for token in _TOKENS if token not in used)

    def _tokens_of(self, kind: str, number: int) -> frozenset[str]:
        key = kind, number
        if key not in self._tokens:
            if kind == "content":
                tokens = tokens_in(tuple(self._contents.known.values[number]))
            elif kind == "entry":
                tokens = tokens_in(self.invocations.entries.values[number])
            else:
                invocation = self.invocations.invocations[number]
                tokens = invocation.tokens | self._tokens_of("entry", invocation.entry)
            self._tokens[key] = tokens
        return self._tokens[key]

    def _next_time(self, state: State) -> int | None:
        """Return the time at which an entry can be taken or the sweep has to look, or None if nothing waits."""
        content = self._contents.known.values[state.content]
        times = [at for at, _ in state.queue]
        if content.subscription.due is not None and (content.marks or content.subscription.disabled is not None):
            times.append(_seconds(content.subscription.due))
        if not times or min(times) <= state.now:
            return None
        demand(min(times) < _LONGEST_S, "I35", "owed for 40 days")
        return min(times)

    def _check_end(self, state: State) -> None:
        """Check a state in which nothing happens any more unless the outside does something."""
        content = self._contents.known.values[state.content]
        if content.subscription.disabled is not None:
            return
        demand(not content.marks, "I35", "a mark is forgotten")
        if not state.unpromised:
            demand(state.received == state.sequences, "I35", f"{state.received} came of {state.sequences}")

    def _way_to(self, state: State) -> str:
        way: list[State] = []
        before: State | None = state
        while before is not None:
            way.insert(0, before)
            before = self.seen[before]
        labels = []
        for former, latter in pairwise(way):
            steps = (*self._steps_inside(former), *self._steps_outside(former))
            labels += [label for label, following in steps if following == latter][:1]
        return "\n".join(" ".join(map(str, label)) for label in labels)


def _seconds(instant: datetime) -> int:
    return int((instant - START).total_seconds())


def _replaced(values: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    return (*values[:place], value, *values[place + 1 :])


@cache
def _page(place: int, items: int) -> tuple[tuple[str, ...], str | None]:
    return (ITEMS[place].id,), str(place + 1) if place + 1 < items else None


class _ReadsEarly:
    def __init__(self, subscriptions: Any, views: Any) -> None:
        self._subscriptions = subscriptions
        self._views = views

    def mark_of(self, subscription_id: str, item: ChangedItem) -> OwedPost | None:
        self._change = self._views.read(item, client=CLIENT)
        mark: OwedPost | None = self._subscriptions.mark_of(subscription_id, item)
        return mark

    def read(self, _item: ChangedItem, *, client: str) -> Any:
        return self._change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subscriptions, name)


class ReadsTheItemFirst(DeliverChange):
    """Posts that read the item before the mark."""

    def __init__(self, *, subscriptions: Any, views: Any, **others: Any) -> None:
        early: Any = _ReadsEarly(subscriptions, views)
        super().__init__(subscriptions=early, views=early, **others)


class DeletesAnyMark(InMemorySubscriptionStore):
    """A store whose success deletes the mark whatever its token."""

    def _has_token(self, mark: OwedPost) -> bool:
        return (mark.subscription, mark.item) in self.marks


class DeletesByAttempts(InMemorySubscriptionStore):
    """A store whose success deletes the mark if the number of attempts is the same."""

    def _has_token(self, mark: OwedPost) -> bool:
        present = self.marks.get((mark.subscription, mark.item))
        return present is not None and present.attempts == mark.attempts


class KeepsTheFormerMark(InMemorySubscriptionStore):
    """A store that puts a mark only if there is none."""

    def put_mark(self, mark: OwedPost) -> None:
        self.marks.setdefault((mark.subscription, mark.item), mark)


class AcknowledgesWithoutMark(InMemorySubscriptionStore):
    """A store that stores no mark."""

    def put_mark(self, mark: OwedPost) -> None:
        """Store nothing."""


class DisablingDropsMarks(InMemorySubscriptionStore):
    """A store that drops what is owed to a disabled subscription."""

    def disable(self, subscription: Subscription, reason: DisabledReason) -> bool:
        self.marks.clear()
        return super().disable(subscription, reason)


class ChangesAnyState(InMemorySubscriptionStore):
    """A store that changes the settings whatever state a post has set meanwhile."""

    def _has_state(self, subscription: Subscription) -> bool:
        return True


class EndsRestsSilently(InMemorySubscriptionStore):
    """A store whose success makes nothing due."""

    def record_success(self, subscription: Subscription, *, at: datetime) -> bool:
        ended = super().record_success(subscription, at=at)
        self.subscriptions[subscription.id] = replace(self.subscriptions[subscription.id], due=None)
        return ended


class ReleasesNothing(DeliverChange):
    """Posts whose first success puts no release into the queue."""

    def __init__(self, *, queue: Any, **others: Any) -> None:
        super().__init__(queue=self, **others)
        self._others = queue

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        self._others.put([(entry, delay_s) for entry, delay_s in entries if entry.item is not None])


class DeletesOnRelease(ReleaseOwedPosts):
    """A release that takes what it is about to send for delivered."""

    def __call__(self, subscription_id: str, *, after_rest: bool = False) -> DeliveryOutcome:
        marks = self._subscriptions.owed(subscription_id, until=self._clock.now(), limit=10)
        for mark in marks:
            self._subscriptions.delete_mark(mark)
        self._queue.put([(HookEntry(subscription=subscription_id, item=mark.item), 0) for mark in marks])
        return DeliveryOutcome.RELEASED


class ProbesAtWill(ReleaseOwedPosts):
    """A release that probes without a write before it."""

    def _probe(self, subscription: Subscription, rests_until: datetime, now: datetime) -> DeliveryOutcome:
        marks = self._subscriptions.owed(subscription.id, until=None, limit=1) if rests_until <= now else []
        entries = [HookEntry(subscription=subscription.id, item=m.item, token=m.token, probe=True) for m in marks]
        self._queue.put([(entry, 0) for entry in entries])
        return DeliveryOutcome.RELEASED


class SkipsMarkedItems(RecoverChanges):
    """A recovery that leaves out what is owed already."""

    def _owe(self, subscription: Subscription, item: ChangedItem, now: datetime) -> None:
        if self._subscriptions.mark_of(subscription.id, item) is None:
            super()._owe(subscription, item, now)


class RefusesTooEarly(ManageSubscriptions):
    """Requests that let others be refused before the entry of their recovery is in the queue."""

    def __init__(self, *, queue: Any, **others: Any) -> None:
        super().__init__(queue=cast("Any", self), **others)
        self._others = queue

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        before = self.one(SUBSCRIPTION.id, client=CLIENT)
        self._subscriptions.prolong_recovery(before, until=recovery_end(None, now=self._clock.now()))
        self._others.put(entries)


def a_mark(item: ChangedItem = ITEM, **changes: Any) -> OwedPost:
    """Build the mark of an item that has failed once and is due."""
    values: dict[str, Any] = {
        "subscription": SUBSCRIPTION.id,
        "item": item,
        "token": f"t{item.id[-1]}",
        "owed_since": START,
        "attempts": 1,
        "due": START,
        "problem": "unreached",
    }
    return OwedPost(**values | changes)


def an_entry(item: ChangedItem = ITEM, **changes: Any) -> HookEntry:
    """Build the entry of a change."""
    return HookEntry(subscription=SUBSCRIPTION.id, item=item, **changes)


_SOON: Final = START + timedelta(minutes=2)
_FAILING: Final = replace(SUBSCRIPTION, failures=1, failing_since=START, due=_SOON, revision="r")
_RESTING: Final = replace(_FAILING, failures=5, rests=1, rests_until=START, due=START)

CHANGES: Final = Scenario(name="changes of one item", events=("0", "0", MINUTE))
RETRY: Final = Scenario(
    name="a retry meets a change",
    subscription=_FAILING,
    marks=(a_mark(due=_SOON),),
    entries=(an_entry(token="t1"),),
    events=("0", "rotate"),
)
DOWN: Final = Scenario(name="an address is down", items=2, entries=(an_entry(), an_entry(ITEMS[1])), failing=7)
PROBE: Final = Scenario(
    name="a probe meets a change",
    subscription=replace(_RESTING, rests_until=_SOON, due=_SOON),
    marks=(a_mark(),),
    entries=(an_entry(token="t1", probe=True),),
    events=("0", MINUTE),
)
RELEASES: Final = Scenario(
    name="two releases after a rest",
    subscription=_RESTING,
    marks=(a_mark(), a_mark(ITEMS[1])),
    items=2,
    entries=(HookEntry(subscription=SUBSCRIPTION.id),) * 2,
)
DISABLED: Final = Scenario(
    name="disabled and enabled again",
    subscription=_FAILING,
    marks=(a_mark(ITEMS[1], due=_SOON),),
    items=2,
    entries=(an_entry(),),
    events=(GONE, "enable"),
)
ENABLED: Final = replace(DISABLED, name="disabled and enabled twice", events=(GONE, "enable", "enable"))
RECOVERY: Final = Scenario(
    name="a recovery of what the receiver has lost",
    subscription=_FAILING,
    marks=(a_mark(due=_SOON),),
    items=2,
    entries=(an_entry(token="t1"),),
    events=(RESTORED,),
)
SCENARIOS: Final = (CHANGES, RETRY, DOWN, PROBE, RELEASES, DISABLED, RECOVERY)

MUTANTS: Final[Mapping[str, tuple[Scenario, Parts]]] = {
    "reads the item before the mark": (CHANGES, Parts(deliver=ReadsTheItemFirst)),
    "deletes any mark": (replace(RETRY, events=("0",)), Parts(store=DeletesAnyMark)),
    "deletes by the number of attempts": (replace(PROBE, faults=0), Parts(store=DeletesByAttempts)),
    "puts a mark only if there is none": (replace(RETRY, events=("0",)), Parts(store=KeepsTheFormerMark)),
    "acknowledges without a mark": (replace(DOWN, faults=0, at_once=1), Parts(store=AcknowledgesWithoutMark)),
    "takes what it releases for delivered": (replace(RELEASES, at_once=1), Parts(release=DeletesOnRelease)),
    "probes without a write": (RELEASES, Parts(release=ProbesAtWill)),
    "ends a rest without a release": (RELEASES, Parts(store=EndsRestsSilently, deliver=ReleasesNothing)),
    "disabling drops what is owed": (replace(DISABLED, faults=0, at_once=1), Parts(store=DisablingDropsMarks)),
    "changes whatever the state": (replace(DISABLED, faults=0), Parts(store=ChangesAnyState)),
    "recovers only what is not owed": (replace(RECOVERY, faults=0, items=1), Parts(recover=SkipsMarkedItems)),
    "refuses before it recovers": (replace(RECOVERY, at_once=1), Parts(manage=RefusesTooEarly)),
}


def explore(scenario: Scenario, parts: Parts | None = None, contents: Contents | None = None) -> int:
    """Explore a scenario, and return how many states were seen. A round of the release has two posts there."""
    parts = parts or Parts()
    with patch.object(release, "_POSTS_A_ROUND", _ROUND):
        return Explorer(scenario, Invocations(parts), contents or Contents(parts.store)).explore()

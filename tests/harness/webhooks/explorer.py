"""Explore all states to which one subscription can come (I35): the real use cases, with a set of the states seen.

A state is what the store holds, what its index shows, the queue, the invocations under way, the items, the receiver and
the clock. From each state every possible step is taken: one operation of one invocation with one of its endings, a
delivery of an entry, a change, a request of the client, a round of the sweep, or the time of what is due next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from itertools import pairwise
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from switchboard.domain.changes import ChangeKind
from switchboard.domain.errors import HookGoneError, HookTimedOutError, HookUnreachedError, StoreUnavailableError
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import ChangedItem, OwedPost, Subscription
from switchboard.usecases.subscription import release
from tests.fakes import START
from tests.fakes.subscriptions import a_change
from tests.harness.explorer import ViolationError, demand
from tests.harness.webhooks.contents import Content, Contents, Operation
from tests.harness.webhooks.invocations import REQUESTS, SUBSCRIPTION, SWEEP, Invocations, Parts, tokens_in

ITEM: Final = ChangedItem(ChangeKind.SMS, "order1001")
ITEMS: Final = (ITEM, ChangedItem(ChangeKind.SMS, "order1002"))
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


def explore(scenario: Scenario, parts: Parts | None = None, contents: Contents | None = None) -> int:
    """Explore a scenario, and return how many states were seen. A round of the release has two posts there."""
    parts = parts or Parts()
    with patch.object(release, "_POSTS_A_ROUND", _ROUND):
        return Explorer(scenario, Invocations(parts), contents or Contents(parts.store)).explore()

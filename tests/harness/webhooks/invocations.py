"""Run the real use cases of subscriptions, each invocation as far as its answers lead it.

An invocation is repeated from its beginning with the answers that it has had, up to its next operation, and what
follows from the same answers is remembered. A crash is a store that does not answer: the use cases catch neither.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, cast

from switchboard.domain.api_keys import ApiKey, Scope
from switchboard.domain.errors import RecoveryInProgressError, StoreUnavailableError, SubscriptionDisabledError
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import OwedPost, Subscription
from switchboard.ports.subscriptions import SubscriptionStore
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.subscription.deliver import DeliverChange, DeliveryOutcome, SignedPoster
from switchboard.usecases.subscription.handle_entry import HandleHookEntry
from switchboard.usecases.subscription.manage import ManageSubscriptions
from switchboard.usecases.subscription.release import RecoverChanges, ReleaseOverdueSubscriptions, ReleaseOwedPosts
from tests.builders import CLIENT, a_subscription
from tests.fakes import START
from tests.fakes.subscriptions import FixedSecrets, InMemorySubscriptionStore
from tests.harness.explorer import demand
from tests.harness.webhooks.contents import Interned, Operation

SUBSCRIPTION: Final = a_subscription()
KEY: Final = ApiKey(id="key-1", client=CLIENT, name="", scopes=frozenset(Scope))
SWEEP: Final = "sweep"
REQUESTS: Final = ("enable", "rotate", "recover")
"""The client's requests, which it repeats until they are answered."""


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

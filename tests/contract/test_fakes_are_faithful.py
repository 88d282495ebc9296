"""Test that a fake and its DynamoDB store answer every sequence of calls alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.domain.orders import OutcomeKind
from switchboard.domain.rate_limits import CircuitRule, Permit, SlotRequest
from switchboard.domain.sms.messages import Message
from switchboard.ports.orders import MessageStore
from switchboard.ports.provider_limits import ProviderLimitStore
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.limits import DynamoDbProviderLimitStore
from switchboard.storage.sms.messages import DynamoDbMessageStore
from tests.builders import (
    CLIENT,
    DEADLINES,
    MINUTE,
    OTHER_RECIPIENT,
    RECIPIENT,
    a_claim,
    a_message,
    a_report,
    an_outcome,
)
from tests.contract.conftest import RETENTION, Aws
from tests.depth import at_depth
from tests.fakes import START, InMemoryMessageStore, InMemoryProviderLimitStore
from tests.tables import limits_table, state_table

SMSID = "sms1"
_SOON, _LATE = START + timedelta(minutes=5), START + timedelta(days=400)
CLAIMS = ["first", "second", "third"]
_ALIKE = settings(max_examples=at_depth(usual=10, proof=30), deadline=None, derandomize=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as a function of the store and of the message as the caller last read it."""

    name: str
    arguments: tuple[Any, ...]
    minutes: int
    make: Callable[[MessageStore, Message, Any], object]

    def __call__(self, store: MessageStore, seen: Message) -> object:
        return self.make(store, seen, self)

    def __repr__(self) -> str:
        return f"{self.name}{self.arguments} at {self.minutes}"


def _outcome(store: MessageStore, seen: Message, call: Call) -> object:
    kind, queue = call.arguments
    outcome = an_outcome(kind, at=START + call.minutes * MINUTE)
    return store.record_outcome(seen, seen.claims[-1], outcome, queue=queue and kind is OutcomeKind.NOT_SENT)


def _call(name: str, make: Callable[..., object], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    minutes = st.sampled_from([0, 1, 3, 16, 24 * 60, 72 * 60])
    return st.builds(lambda drawn, at: Call(name, drawn, at, make), st.tuples(*arguments), minutes)


def _at(call: Call) -> Any:
    return START + call.minutes * MINUTE


CALLS = st.one_of(
    _call(
        "create", lambda store, _, call: store.create(a_message(claim_id=call.arguments[0])), st.sampled_from(CLAIMS)
    ),
    _call(
        "claim",
        lambda store, _, call: store.claim(SMSID, a_claim(call.arguments[0], at=_at(call))),
        st.sampled_from(CLAIMS),
    ),
    _call("outcome", _outcome, st.sampled_from(OutcomeKind), st.booleans()),
    _call(
        "report",
        lambda store, _, call: store.record_report(
            a_report(call.arguments[0], recipient=call.arguments[1]), seen_at=_at(call)
        ),
        st.sampled_from(["1", "14", "a|b"]),
        st.sampled_from([RECIPIENT, OTHER_RECIPIENT, None]),
    ),
    _call("timeout", lambda store, seen, call: store.record_timeout(seen, at=_at(call))),
    _call("closed", lambda store, seen, call: store.record_closed(seen, at=_at(call))),
    _call("postpone", lambda store, seen, call: store.postpone(seen, until=_at(call))),
    _call(
        "bind",
        lambda store, _, call: store.bind_key(call.arguments[0], "x", client=CLIENT, at=START),
        st.sampled_from([SMSID, "k"]),
    ),
)


@_ALIKE
@given(calls=st.lists(CALLS, max_size=14), begun=st.booleans())
def test_both_message_stores_answer_every_sequence_of_calls_alike(aws: Aws, calls: Sequence[Call], begun: bool) -> None:
    table = aws.unique("alike")
    aws.dynamodb.create_table(**state_table(table))
    real = DynamoDbMessageStore(
        client=aws.dynamodb, table=table, deadlines=DEADLINES, statuses=DELIVERY_STATUSES, retention=RETENTION
    )
    fake = InMemoryMessageStore(deadlines=DEADLINES)
    seen = a_message()
    if begun:
        assert fake.create(seen) == real.create(seen)
    for call in calls:
        assert call(fake, seen) == call(real, seen), call
        stored = fake.get(SMSID)
        assert stored == real.get(SMSID), call
        # Every second caller acts on a message that it read some time ago.
        seen = stored if stored is not None and call.minutes % 2 else seen
        assert list(fake.overdue(now=_SOON, limit=9)) == list(real.overdue(now=_SOON, limit=9)), call
    assert list(fake.overdue(now=_LATE, limit=9)) == list(real.overdue(now=_LATE, limit=9))


VERSIONS = st.sampled_from(["v1", "v2"])
RULES = st.builds(
    CircuitRule,
    version=VERSIONS,
    open_after_401s=st.just(2),
    max_consecutive_401s=st.just(4),
    in_flight=st.just(2),
    read_after=st.integers(min_value=0, max_value=3),
)
TIMES = st.integers(min_value=1, max_value=50)
SLOTS = st.builds(
    lambda now, wait, count, backed_off: SlotRequest(
        interval_us=5, now_us=now, latest_us=now + wait, count=count, backed_off_us=backed_off, recovered_us=now - 20
    ),
    TIMES,
    TIMES,
    st.integers(min_value=1, max_value=3),
    st.sampled_from([0, 10, 20]),
)
WORKERS = st.sampled_from(["a", "b", "c"])
GROUPS = st.lists(WORKERS, min_size=1, max_size=2, unique=True)
ENDS = st.sampled_from([10, 20])
PERMITS = st.none() | st.tuples(GROUPS, ENDS, st.dictionaries(WORKERS, ENDS, max_size=2)).map(
    lambda drawn: Permit(
        workers=tuple(drawn[0]),
        until_us=drawn[1],
        expired={worker: until for worker, until in drawn[2].items() if worker not in drawn[0]},
    )
)
LIMIT_CALLS = st.one_of(
    st.builds(
        lambda slots, rule, permit: lambda store: store.reserve_next("state", slots, rule=rule, permit=permit),
        SLOTS,
        RULES,
        PERMITS,
    ),
    st.builds(
        lambda slots, rule, permit: lambda store: store.reserve_now("state", slots, rule=rule, permit=permit),
        SLOTS,
        RULES,
        PERMITS,
    ),
    st.builds(
        lambda worker, version: lambda store: store.record_401("state", worker=worker, version=version),
        WORKERS,
        VERSIONS,
    ),
    GROUPS.map(lambda workers: lambda store: store.return_permits("state", workers=workers)),
    st.builds(
        lambda total, versions: lambda store: store.reset_401s("state", expected_total_401s=total, versions=versions),
        st.integers(min_value=0, max_value=4),
        st.lists(VERSIONS, min_size=1, unique=True),
    ),
    st.builds(
        lambda now, slot: lambda store: store.back_off("state", percent=150, now_us=now, slot_us=slot),
        st.sampled_from([10, 20]),
        TIMES,
    ),
    VERSIONS.map(lambda version: lambda store: store.forget_probed("state", keep=version)),
    st.sampled_from(["555", "557"]).map(lambda code: lambda store: store.block("state", code=code)),
)


@_ALIKE
@given(calls=st.lists(LIMIT_CALLS, max_size=14))
def test_both_limit_stores_answer_every_sequence_of_calls_alike(
    aws: Aws, calls: Sequence[Callable[[ProviderLimitStore], object]]
) -> None:
    table = aws.unique("alike")
    aws.dynamodb.create_table(**limits_table(table))
    real, fake = DynamoDbProviderLimitStore(client=aws.dynamodb, table=table), InMemoryProviderLimitStore()
    for number, call in enumerate(calls):
        assert call(fake) == call(real), number

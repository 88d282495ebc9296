"""The scenarios that the explorer of subscriptions begins with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import ChangedItem, OwedPost
from tests.fakes import START
from tests.harness.webhooks.explorer import GONE, ITEM, ITEMS, MINUTE, RESTORED, Scenario
from tests.harness.webhooks.invocations import SUBSCRIPTION


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

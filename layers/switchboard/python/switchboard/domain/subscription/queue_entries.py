"""Hold, write and read the entries of the hooks' queue: ids and times, never a view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from switchboard.domain.changes import ChangeKind
from switchboard.domain.subscription.subscriptions import KINDS, ChangedItem
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEntry:
    """One entry of the hooks' queue: one post, one round of a release, or one page of a recovery.

    Args:
        subscription: the subscription's id.
        item: the item whose newest view is to be posted. None in a release or a recovery.
        token: the token of the mark that this entry repeats, None for a new change. The entry of another token has
            been overtaken.
        probe: True if a resting address gets this one post.
        after_rest: True in a release that follows a rest: what is due soon is brought out, too.
        recovery: the page of a recovery that comes next.
    """

    subscription: str
    item: ChangedItem | None = None
    token: str | None = None
    probe: bool = False
    after_rest: bool = False
    recovery: Recovery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """A position in a recovery: the kind of items that it lists now, and where in their list it is."""

    since: datetime
    kind: ChangeKind
    position: str | None = None


def entry_to_json(entry: HookEntry) -> dict[str, Any]:
    """Write an entry."""
    if entry.recovery is not None:
        recovery = entry.recovery
        page = {"since": to_rfc3339(recovery.since), "kind": recovery.kind.value, "position": recovery.position}
        return {"subscription": entry.subscription, "recovery": page}
    if entry.item is None:
        return {"subscription": entry.subscription} | ({"after_rest": True} if entry.after_rest else {})
    values: dict[str, Any] = {
        "subscription": entry.subscription,
        "kind": entry.item.kind.value,
        "id": entry.item.id,
    }
    return values | ({} if entry.token is None else {"token": entry.token}) | ({"probe": True} if entry.probe else {})


def entry_from_json(values: Mapping[str, Any]) -> HookEntry:
    """Read an entry that `entry_to_json` wrote.

    Raises:
        LookupError, ValueError: it is none.
    """
    recovery = values.get("recovery")
    return HookEntry(
        subscription=values["subscription"],
        item=ChangedItem(KINDS[values["kind"]], values["id"]) if "kind" in values else None,
        token=values.get("token"),
        probe=values.get("probe", False),
        after_rest=values.get("after_rest", False),
        recovery=None
        if recovery is None
        else Recovery(
            since=from_rfc3339(recovery["since"]), kind=KINDS[recovery["kind"]], position=recovery["position"]
        ),
    )

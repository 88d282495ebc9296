"""The limits table, the outbox queue and the vault, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from switchboard.domain.instants import to_rfc3339
from switchboard.domain.orders import Order
from switchboard.ports.lanes import CircuitRule, LaneMove, LaneState, LaneStore, Permit
from switchboard.ports.orders import Outbox
from switchboard.ports.reports import CallbackVault, HeldReport, RawCallback


class InMemoryLaneStore(LaneStore):
    """A LaneStore in a dict."""

    def __init__(self) -> None:
        self.lanes: dict[str, LaneState] = {}

    def append(
        self, lane: str, *, step_us: int, now_us: int, latest_us: int, rule: CircuitRule, permit: Permit
    ) -> LaneMove:
        old = self.lanes.get(lane, LaneState())
        if not old.cursor_us or not now_us <= old.cursor_us <= latest_us or not permit.fits(old, room=rule.room(old)):
            return LaneMove(moved=False, lane=old)
        return self._moved(lane, old, old.cursor_us + step_us, rule, permit)

    def restart(self, lane: str, *, step_us: int, now_us: int, rule: CircuitRule, permit: Permit) -> LaneMove:
        old = self.lanes.get(lane, LaneState())
        if old.cursor_us >= now_us or not permit.fits(old, room=rule.room(old)):
            return LaneMove(moved=False, lane=old)
        return self._moved(lane, old, now_us + step_us, rule, permit)

    def add_refusal(self, lane: str, *, worker: str) -> LaneState:
        old = self.lanes.get(lane, LaneState())
        self.lanes[lane] = replace(old, streak=old.streak + 1, refusals=old.refusals + 1)
        self.give_back(lane, worker=worker)
        return self.lanes[lane]

    def give_back(self, lane: str, *, worker: str) -> None:
        old = self.lanes.get(lane)
        if old is not None:
            permits = {each: until for each, until in old.permits.items() if each != worker}
            self.lanes[lane] = replace(old, permits=permits)

    def end_streak(self, lane: str, *, seen: int) -> None:
        old = self.lanes.get(lane)
        if old is not None and old.refusals == seen > 0:
            self.lanes[lane] = replace(old, streak=0, tried=frozenset())

    def block(self, lane: str, *, code: str) -> None:
        self.lanes[lane] = replace(self.lanes.get(lane, LaneState()), blocked_by=code)

    def _moved(self, lane: str, old: LaneState, cursor_us: int, rule: CircuitRule, permit: Permit) -> LaneMove:
        permits = {each: until for each, until in old.permits.items() if each not in permit.expired}
        permits[permit.worker] = permit.until_us
        self.lanes[lane] = replace(old, cursor_us=cursor_us, tried=old.tried | {rule.version}, permits=permits)
        return LaneMove(moved=True, lane=self.lanes[lane])


class InMemoryOutbox(Outbox[Order[Any]]):
    """The queues' entries as one, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[str] = deque()

    def put(self, *orders: Order[Any], delay_s: int = 0) -> None:
        self.entries.extend(order.id for order in orders)


class InMemoryCallbackVault(CallbackVault):
    """What is kept, in lists."""

    def __init__(self) -> None:
        self.quarantined: list[tuple[RawCallback, str, datetime]] = []
        self.kept: dict[str, HeldReport] = {}

    def quarantine(self, callback: RawCallback, *, reason: str, at: datetime) -> None:
        if (callback, reason, at) not in self.quarantined:
            self.quarantined.append((callback, reason, at))

    def hold(self, held: HeldReport) -> None:
        handle = f"{to_rfc3339(held.seen_at)} {held.report}"
        self.kept[handle] = replace(held, handle=handle)

    def held(self, *, limit: int) -> Iterable[HeldReport]:
        return [self.kept[handle] for handle in sorted(self.kept)[:limit]] if self.kept else []

    def release(self, held: HeldReport) -> None:
        self.kept.pop(held.handle, None)

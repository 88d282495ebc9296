"""The limits table, the outbox queue and the vault, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from switchboard.domain.orders import Order
from switchboard.domain.rate_limits import CircuitRule, LaneMove, LaneState, Permit, SlotRequest
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.callbacks import CallbackVault, HeldReport, RawCallback
from switchboard.ports.orders import Outbox
from switchboard.ports.provider_limits import LaneStore


class InMemoryLaneStore(LaneStore):
    """A LaneStore in a dict. `writes` counts what would have been a write, met condition or not."""

    def __init__(self) -> None:
        self.lanes: dict[str, LaneState] = {}
        self.writes = 0
        self.ahead_s: float | None = 0.0

    def append(self, lane: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        self.writes += 1
        old = self._lane(lane)
        in_time = old.cursor_us and slots.now_us <= old.cursor_us <= slots.latest_start_us
        if not in_time or not slots.knows_the_pace(old) or not rule.admits(old, permit):
            return LaneMove(moved=False, lane=old)
        return self._moved(lane, old, old.cursor_us + slots.length_us, rule, permit)

    def restart(self, lane: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        self.writes += 1
        old = self._lane(lane)
        if old.cursor_us >= slots.now_us or not slots.knows_the_pace(old) or not rule.admits(old, permit):
            return LaneMove(moved=False, lane=old)
        return self._moved(lane, old, slots.now_us + slots.length_us, rule, permit)

    def add_refusal(self, lane: str, *, worker: str, version: str) -> LaneState:
        self.writes += 1
        old = self._without(lane, [worker])
        self.lanes[lane] = replace(
            old, streak=old.streak + 1, refusals=old.refusals + 1, refused=old.refused | {version}
        )
        return self.lanes[lane]

    def give_back(self, lane: str, *, workers: Collection[str]) -> None:
        self.writes += 1
        if lane in self.lanes:
            self.lanes[lane] = self._without(lane, workers)

    def end_streak(self, lane: str, *, seen: int, versions: Collection[str]) -> None:
        self.writes += 1
        old = self._lane(lane)
        if old.refusals == seen > 0:
            self.lanes[lane] = replace(old, streak=0, tried=frozenset(), refused=old.refused - set(versions))

    def forget_tried(self, lane: str, *, but: str) -> None:
        self.writes += 1
        old = self._lane(lane)
        if old.tried and not old.streak:
            self.lanes[lane] = replace(old, tried=frozenset({but}))

    def slow(self, lane: str, *, pct: int, now_us: int, slot_us: int) -> None:
        self.writes += 1
        old = self._lane(lane)
        if not old.slowed_us or old.slowed_us < slot_us:
            self.lanes[lane] = replace(old, slow_pct=pct, slowed_us=now_us)

    def block(self, lane: str, *, code: str) -> None:
        self.writes += 1
        self.lanes[lane] = replace(self._lane(lane), blocked_by=code)

    def clock_ahead_s(self) -> float | None:
        return self.ahead_s

    def _lane(self, lane: str) -> LaneState:
        return self.lanes.get(lane) or LaneState()

    def _without(self, lane: str, workers: Collection[str]) -> LaneState:
        old = self._lane(lane)
        return replace(old, permits={each: until for each, until in old.permits.items() if each not in workers})

    def _moved(self, lane: str, old: LaneState, cursor_us: int, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        permits = old.permits
        if permit is not None:
            kept = {each: until for each, until in old.permits.items() if each not in permit.expired}
            permits = kept | dict.fromkeys(permit.workers, permit.until_us)
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

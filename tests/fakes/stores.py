"""The limits table, the outbox queue and the archive, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from switchboard.domain.orders import Order
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.callbacks import CallbackArchive, RawCallback, SpooledEvent
from switchboard.ports.orders import InquiryQueue, Outbox
from switchboard.ports.provider_limits import ProviderLimitStore


class InMemoryProviderLimitStore(ProviderLimitStore):
    """A ProviderLimitStore in a dict. `writes` counts what would have been a write, met condition or not."""

    def __init__(self) -> None:
        self.states: dict[str, ProviderLimitState] = {}
        self.writes = self.reads = 0
        self.ahead_s: float | None = 0.0

    def read(self, key: str) -> ProviderLimitState:
        self.reads += 1
        return self._state(key)

    def reserve_next(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        self.writes += 1
        old = self._state(key)
        in_time = old.next_slot_us and slots.now_us <= old.next_slot_us <= slots.latest_start_us
        if not in_time or not slots.knows_backoff(old) or not rule.admits(old, permit):
            return LimitUpdate(granted=False, state=old)
        return self._moved(key, old, old.next_slot_us + slots.length_us, rule, permit)

    def reserve_now(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        self.writes += 1
        old = self._state(key)
        if old.next_slot_us >= slots.now_us or not slots.knows_backoff(old) or not rule.admits(old, permit):
            return LimitUpdate(granted=False, state=old)
        return self._moved(key, old, slots.now_us + slots.length_us, rule, permit)

    def record_401(self, key: str, *, worker: str, version: str) -> ProviderLimitState:
        self.writes += 1
        old = self._without(key, [worker])
        self.states[key] = replace(
            old,
            consecutive_401s=old.consecutive_401s + 1,
            total_401s=old.total_401s + 1,
            rejected_versions=old.rejected_versions | {version},
        )
        return self.states[key]

    def return_permits(self, key: str, *, workers: Collection[str]) -> None:
        self.writes += 1
        if key in self.states:
            self.states[key] = self._without(key, workers)

    def reset_401s(self, key: str, *, expected_total_401s: int, versions: Collection[str]) -> None:
        self.writes += 1
        old = self._state(key)
        if old.total_401s == expected_total_401s > 0:
            self.states[key] = replace(
                old,
                consecutive_401s=0,
                probed_versions=frozenset(),
                rejected_versions=old.rejected_versions - set(versions),
            )

    def forget_probed(self, key: str, *, keep: str) -> None:
        self.writes += 1
        old = self._state(key)
        if old.probed_versions and not old.consecutive_401s:
            self.states[key] = replace(old, probed_versions=frozenset({keep}))

    def back_off(self, key: str, *, percent: int, now_us: int, slot_us: int) -> None:
        self.writes += 1
        old = self._state(key)
        if not old.backed_off_us or old.backed_off_us < slot_us:
            self.states[key] = replace(old, backoff_percent=percent, backed_off_us=now_us)

    def block(self, key: str, *, code: str) -> None:
        self.writes += 1
        self.states[key] = replace(self._state(key), blocked_by=code)

    def clock_ahead_s(self) -> float | None:
        return self.ahead_s

    def _state(self, key: str) -> ProviderLimitState:
        return self.states.get(key) or ProviderLimitState()

    def _without(self, key: str, workers: Collection[str]) -> ProviderLimitState:
        old = self._state(key)
        return replace(old, permits={worker: until for worker, until in old.permits.items() if worker not in workers})

    def _moved(
        self, key: str, old: ProviderLimitState, next_slot_us: int, rule: CircuitRule, permit: Permit | None
    ) -> LimitUpdate:
        permits = old.permits
        if permit is not None:
            remaining = {worker: until for worker, until in old.permits.items() if worker not in permit.expired}
            permits = remaining | dict.fromkeys(permit.workers, permit.until_us)
        self.states[key] = replace(
            old, next_slot_us=next_slot_us, probed_versions=old.probed_versions | {rule.version}, permits=permits
        )
        return LimitUpdate(granted=True, state=self.states[key])


class InMemoryOutbox(Outbox[Order[Any]], InquiryQueue):
    """The queues' entries as one, oldest first, and the inquiries apart from them."""

    def __init__(self) -> None:
        self.entries: deque[str] = deque()
        self.inquiries: deque[str] = deque()

    def put_inquiry(self, message: Order[Any], *, delay_s: int = 0) -> None:
        self.inquiries.append(message.id)

    def put(self, *orders: Order[Any], delay_s: int = 0) -> None:
        self.entries.extend(order.id for order in orders)


class InMemoryCallbackArchive(CallbackArchive):
    """What is kept, in lists."""

    def __init__(self) -> None:
        self.quarantined: list[tuple[RawCallback, str, datetime]] = []
        self.kept: dict[str, SpooledEvent] = {}

    def quarantine(self, callback: RawCallback, *, reason: str, at: datetime) -> None:
        if (callback, reason, at) not in self.quarantined:
            self.quarantined.append((callback, reason, at))

    def spool(self, spooled: SpooledEvent) -> None:
        handle = f"{to_rfc3339(spooled.seen_at)} {spooled.event}"
        self.kept[handle] = replace(spooled, handle=handle)

    def spooled(self, *, limit: int) -> Iterable[SpooledEvent]:
        return [self.kept[handle] for handle in sorted(self.kept)]

    def remove(self, spooled: SpooledEvent) -> None:
        self.kept.pop(spooled.handle, None)

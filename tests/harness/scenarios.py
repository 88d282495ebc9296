"""The scenarios that the explorer plays."""

from __future__ import annotations

from dataclasses import replace

from switchboard.domain.errors import RateLimitTimeoutError
from switchboard.domain.sms.messages import Message
from tests.fakes import FixedClock, InMemoryMessageStore, ScriptedGuard, StoredOrder
from tests.harness.world import COMMAND, SMSID, World
from tests.systems import Parts, assembled


def _queued_message() -> StoredOrder[Message]:
    store, clock = InMemoryMessageStore(), FixedClock()
    guard = ScriptedGuard(clock, RateLimitTimeoutError("full"))
    assembled(messages=store, clock=clock, guard=guard).send(COMMAND)
    return store.rows[SMSID]


_QUEUED = _queued_message()


def queued_world(parts: Parts) -> World:
    """Put one message into the queue."""
    world = World(parts)
    world.store.rows[SMSID] = replace(_QUEUED, reports={})
    return world


def two_deliveries(parts: Parts) -> World:
    """Deliver one queue entry twice."""
    world = queued_world(parts)
    world.deliver("delivery 1")
    world.deliver("delivery 2")
    return world


def crowd(parts: Parts) -> World:
    """Deliver a queue entry twice, repeat the caller's request, sweep, and report three times."""
    world = two_deliveries(parts)
    world.post("caller")
    world.sweep_twice()
    for status in ("14", "18", "1"):
        world.report(status)
    return world


def late_delivery(parts: Parts) -> World:
    """Deliver a queue entry twice, with time between the two, and report that the message is on its way."""
    world = two_deliveries(parts)
    world.sweep_twice()
    world.report("14")
    return world


def early_reports(parts: Parts) -> World:
    """Deliver a queue entry twice, and report three times."""
    world = two_deliveries(parts)
    for status in ("14", "18", "1"):
        world.report(status)
    return world


def two_callers(parts: Parts) -> World:
    """Make the same new request twice at once, deliver its queue entry, sweep, and report twice."""
    world = World(parts)
    world.post("caller 1")
    world.post("caller 2")
    world.deliver_from_outbox("delivery")
    world.sweep_twice()
    for status in ("18", "1"):
        world.report(status)
    return world

"""What the applications that read or write whole calls are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines
from switchboard.config import StateSettings
from switchboard.domain.orders import Standing
from switchboard.domain.voice_calls import CallState, VoiceCall, next_due, standing_of
from switchboard.storage import aws
from switchboard.storage.voice_call.store import DynamoDbVoiceCallStore
from switchboard.usecases.operations.reconcile_overdue import SettleOverdue
from switchboard.usecases.voice_call.query import QueryCalls


def call_store(settings: StateSettings) -> DynamoDbVoiceCallStore:
    """The state table's calls."""
    return DynamoDbVoiceCallStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        deadlines=deadlines(settings),
        retention=settings.retention,
    )


def call_standing(settings: StateSettings) -> Callable[[VoiceCall, datetime], Standing[CallState]]:
    """Where a call stands."""
    times = deadlines(settings)
    return lambda call, now: standing_of(call, deadlines=times, now=now)


def query_calls(settings: StateSettings) -> QueryCalls:
    """Where calls stand."""
    return QueryCalls(calls=call_store(settings), clock=CLOCK, standing_of=call_standing(settings))


def settle_calls(settings: StateSettings) -> SettleOverdue[VoiceCall]:
    """What the silence about a call means. None is ever queued."""
    times = deadlines(settings)
    return SettleOverdue(
        orders=call_store(settings),
        clock=CLOCK,
        standing_of=call_standing(settings),
        next_due=lambda call: next_due(call, deadlines=times),
        look_again_after=times.requeue_after_queued,
    )

"""The components of the applications that read or write whole voice calls."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines
from switchboard.config import StateSettings
from switchboard.domain.orders import Status
from switchboard.domain.voice_calls import VoiceCall, VoiceCallState, next_due, status_of
from switchboard.storage import aws
from switchboard.storage.retrying import CALL_IDS, RECONCILIATION, retrying
from switchboard.storage.voice_call.store import DynamoDbVoiceCallStore
from switchboard.usecases.operations.reconcile_overdue import ReconcileOverdue
from switchboard.usecases.voice_call.query import QueryVoiceCalls


def voice_call_store(settings: StateSettings) -> DynamoDbVoiceCallStore:
    """Build the store of the state table's voice calls."""
    return DynamoDbVoiceCallStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        deadlines=deadlines(settings),
        retention=settings.retention,
    )


def voice_call_status(settings: StateSettings) -> Callable[[VoiceCall, datetime], Status[VoiceCallState]]:
    """Return the function that derives a voice call's status."""
    times = deadlines(settings)
    return lambda call, now: status_of(call, deadlines=times, now=now)


def query_voice_calls(settings: StateSettings) -> QueryVoiceCalls:
    """Build the query of voice calls."""
    calls = retrying(voice_call_store(settings), "get", *CALL_IDS)
    return QueryVoiceCalls(calls=calls, clock=CLOCK, status_of=voice_call_status(settings))


def reconcile_voice_calls(settings: StateSettings, *, pool: Executor) -> ReconcileOverdue[VoiceCall]:
    """Build the sweep's work on voice calls. None of them is ever queued."""
    times = deadlines(settings)
    return ReconcileOverdue(
        orders=retrying(voice_call_store(settings), *RECONCILIATION),
        clock=CLOCK,
        status_of=voice_call_status(settings),
        next_due=lambda call: next_due(call, deadlines=times),
        look_again_after=times.requeue_after_queued,
        pool=pool,
    )

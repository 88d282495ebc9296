"""Builds what records IVR calls, without the store of whole verifications."""

from __future__ import annotations

from datetime import timedelta

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import StateSettings
from switchboard.ports.callbacks import CallbackArchive
from switchboard.storage import aws
from switchboard.storage.retrying import IVR_CALLS, retrying
from switchboard.storage.verification.ivr_calls import DynamoDbIvrCallStore
from switchboard.usecases.verification.record_ivr_call import RecordIvrCall


def record_ivr_call(settings: StateSettings, archive: CallbackArchive) -> RecordIvrCall:
    """Build the use case over the state table's leases and verifications."""
    calls = DynamoDbIvrCallStore(client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.state_table)
    return RecordIvrCall(
        calls=retrying(calls, *IVR_CALLS),
        leases=calls,
        archive=archive,
        clock=CLOCK,
        grace=timedelta(minutes=settings.lease_grace_minutes),
    )

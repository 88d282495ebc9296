"""Builds what publishes changes, and what reads a resource as its next event would show it."""

from __future__ import annotations

import zlib

from switchboard.bootstrap.components.recordings import policy
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines, sms_status
from switchboard.bootstrap.components.verifications import verification_status
from switchboard.bootstrap.components.voice_calls import voice_call_status, voice_call_store
from switchboard.config import ChangesSettings, RecordingSettings
from switchboard.edge.changes import DescribeResource
from switchboard.ports.subscriptions import NotifySubscribers
from switchboard.providers.biztel.file_names import parse_file_name
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage import aws
from switchboard.storage.changes import DynamoDbChangedItems, EventBridgeChangesBus, SqsRepairQueue
from switchboard.storage.retrying import retrying
from switchboard.usecases.operations.publish_changes import PublishChanges


def publish_changes(
    recording_settings: RecordingSettings, settings: ChangesSettings, *, notify: NotifySubscribers | None
) -> PublishChanges:
    """Build the publication of changes.

    Raises:
        ConfigurationError: a channel is unknown, or there is none.
    """
    state = recording_settings
    items = DynamoDbChangedItems(
        client=aws.dynamodb(timeout_s=state.store_timeout_s),
        table=state.state_table,
        voice_calls=retrying(voice_call_store(state), "get"),
    )
    return PublishChanges(
        items=retrying(items, "read"),
        describe=describe_resource(state),
        rules_version=rules_version(state),
        bus=EventBridgeChangesBus(client=aws.events, bus=settings.changes_bus_name),
        repair=SqsRepairQueue(client=aws.sqs, queue_url=settings.changes_repair_queue_url),
        notify=notify,
        clock=CLOCK,
    )


def describe_resource(settings: RecordingSettings) -> DescribeResource:
    """Build the derivation of a resource's view.

    Raises:
        ConfigurationError: a channel is unknown, or there is none.
    """
    return DescribeResource(
        statuses=DELIVERY_STATUSES,
        sms_status=sms_status(settings),
        verification_status=verification_status(settings),
        voice_call_status=voice_call_status(settings),
        policy=policy(settings),
        parse_name=parse_file_name,
    )


def rules_version(settings: RecordingSettings) -> str:
    """Name the tables and deadlines by which views are derived: 8 hexadecimal digits, equal for equal rules."""
    choices = policy(settings)
    rules = (
        sorted(DELIVERY_STATUSES.rows.items()),
        deadlines(settings),
        sorted(choices.channels),
        choices.monaural_as_fallback,
        choices.deadlines,
    )
    return f"{zlib.crc32(repr(rules).encode()):08x}"

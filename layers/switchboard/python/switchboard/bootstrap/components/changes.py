"""Builds what publishes changes, and what reads a resource as its next event would show it."""

from __future__ import annotations

import zlib

from switchboard.bootstrap.components.recordings import policy
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines, sms_status
from switchboard.bootstrap.components.verifications import channel_store, view_verification
from switchboard.bootstrap.components.voice_calls import voice_call_status, voice_call_store
from switchboard.config import ChangesSettings, DescribingSettings
from switchboard.edge.changes import DescribeResource
from switchboard.ports.subscriptions import NotifySubscribers
from switchboard.providers.biztel.file_names import parse_file_name
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage import aws
from switchboard.storage.changes import DynamoDbChangedItems, EventBridgeChangesBus, SqsRepairQueue
from switchboard.storage.retrying import retrying
from switchboard.usecases.operations.publish_changes import PublishChanges


def publish_changes(
    recording_settings: DescribingSettings, settings: ChangesSettings, *, notify: NotifySubscribers | None
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
        channels=retrying(channel_store(state), "with_channels"),
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


def describe_resource(settings: DescribingSettings) -> DescribeResource:
    """Build the derivation of a resource's view.

    Raises:
        ConfigurationError: a channel is unknown, or there is none.
    """
    return DescribeResource(
        statuses=DELIVERY_STATUSES,
        sms_status=sms_status(settings),
        view_verification=view_verification(settings),
        voice_call_status=voice_call_status(settings),
        policy=policy(settings),
        parse_name=parse_file_name,
        makes_transcripts=settings.transcription_minutes_per_month > 0,
    )


def rules_version(settings: DescribingSettings) -> str:
    """Name the tables and deadlines by which views are derived: 8 hexadecimal digits, equal for equal rules."""
    choices = policy(settings)
    rules = (
        sorted(DELIVERY_STATUSES.rows.items()),
        deadlines(settings),
        sorted(choices.channels),
        choices.monaural_as_fallback,
        choices.deadlines,
        settings.transcription_minutes_per_month > 0,
    )
    return f"{zlib.crc32(repr(rules).encode()):08x}"

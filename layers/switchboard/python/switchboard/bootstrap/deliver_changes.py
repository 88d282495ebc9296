"""Builds the application of `functions/deliver_changes`."""

from __future__ import annotations

import random
from functools import cache

from switchboard.bootstrap.components.changes import changed_items, describe_resource, rules_version
from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.hook_queue import hook_queue, subscription_store
from switchboard.bootstrap.components.recordings import recording_store
from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.bootstrap.components.sms import message_store
from switchboard.bootstrap.components.subscriptions import (
    derived_secrets,
    hook_posts,
    signed_poster,
)
from switchboard.bootstrap.components.verifications import verification_store
from switchboard.bootstrap.components.voice_calls import voice_call_store
from switchboard.config import DeliverChangesSettings
from switchboard.domain.changes import CIRCUITS, ChangeKind
from switchboard.storage import aws
from switchboard.storage.queues import SqsRetryDelay
from switchboard.storage.subscriptions import EventBridgeDisabledEvents
from switchboard.usecases.subscription.deliver import DeliverChange
from switchboard.usecases.subscription.handle_entry import HandleHookEntry
from switchboard.usecases.subscription.release import RecoverChanges, ReleaseOwedPosts
from switchboard.usecases.subscription.views import ReadChanges


@cache
def application() -> HandleHookEntry:
    """Build the use cases once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = DeliverChangesSettings.load()
    subscriptions, queue = subscription_store(settings), hook_queue(settings.hook_queue_url)
    poster = hook_posts(settings, own_hosts=settings.own_hosts)
    messages, verifications = message_store(settings), verification_store(settings)
    calls, recordings = voice_call_store(settings), recording_store(settings)
    views = ReadChanges(
        items=changed_items(settings),
        describe=describe_resource(settings),
        rules_version=rules_version(settings),
        lists={
            ChangeKind.SMS: lambda query, client: messages.find(query, client=client),
            ChangeKind.VERIFICATION: lambda query, client: verifications.find(query, client=client),
            ChangeKind.VOICE_CALL: lambda query, client: calls.find(query, client=client),
            ChangeKind.RECORDING: lambda query, _client: recordings.find(query),
        },
        providers=CIRCUITS,
    )
    return HandleHookEntry(
        deliver=DeliverChange(
            subscriptions=subscriptions,
            views=views,
            poster=signed_poster(derived_secrets(settings), poster),
            queue=queue,
            find_key=api_keys(),
            on_disabled=EventBridgeDisabledEvents(client=aws.events, bus=settings.changes_bus_name),
            clock=CLOCK,
            new_id=new_id,
            random=random.random,
        ),
        release=ReleaseOwedPosts(subscriptions=subscriptions, queue=queue, clock=CLOCK),
        recover=RecoverChanges(subscriptions=subscriptions, views=views, queue=queue, clock=CLOCK, new_id=new_id),
    )


@cache
def retry_delay() -> SqsRetryDelay:
    """Build the delay of a failed entry's next try."""
    settings = DeliverChangesSettings.load()
    return SqsRetryDelay(client=aws.sqs, queue_urls=(settings.hook_queue_url,))

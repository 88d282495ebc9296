"""Builds the application of `functions/publish_changes`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.components.changes import publish_changes
from switchboard.bootstrap.components.hook_queue import hook_queue
from switchboard.config import PublishChangesSettings
from switchboard.storage import aws
from switchboard.storage.queues import SqsRetryDelay
from switchboard.storage.subscriptions import SubscribersQueue
from switchboard.usecases.operations.publish_changes import PublishChanges


@cache
def application() -> PublishChanges:
    """Build the use case once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = PublishChangesSettings.load()
    notify = SubscribersQueue(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        queue=hook_queue(settings.hook_queue_url),
    )
    return publish_changes(settings, settings, notify=notify)


@cache
def retry_delay() -> SqsRetryDelay:
    """Build the delay of a failed repair's next try."""
    settings = PublishChangesSettings.load()
    return SqsRetryDelay(client=aws.sqs, queue_urls=(settings.changes_repair_queue_url,))

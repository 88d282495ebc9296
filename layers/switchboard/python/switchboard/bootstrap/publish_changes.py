"""Builds the application of `functions/publish_changes`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.components.changes import publish_changes
from switchboard.config import PublishChangesSettings
from switchboard.storage import aws
from switchboard.storage.queues import SqsRetryDelay
from switchboard.usecases.operations.publish_changes import PublishChanges


@cache
def application() -> PublishChanges:
    """Build the use case once a container. No webhook is subscribed yet.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = PublishChangesSettings.load()
    return publish_changes(settings, settings, notify=None)


@cache
def retry_delay() -> SqsRetryDelay:
    """Build the delay of a failed repair's next try."""
    settings = PublishChangesSettings.load()
    return SqsRetryDelay(client=aws.sqs, queue_urls=(settings.changes_repair_queue_url,))

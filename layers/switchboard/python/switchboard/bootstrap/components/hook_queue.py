"""Builds the subscriptions' store and their queue, also for applications that never post."""

from __future__ import annotations

from switchboard.config import StateSettings
from switchboard.storage import aws
from switchboard.storage.subscriptions import DynamoDbSubscriptionStore, SqsHookQueue


def subscription_store(settings: StateSettings) -> DynamoDbSubscriptionStore:
    """Build the store of the state table's subscriptions and owed posts."""
    return DynamoDbSubscriptionStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.state_table
    )


def hook_queue(queue_url: str) -> SqsHookQueue:
    """Build the queue of posts."""
    return SqsHookQueue(client=aws.sqs, queue_url=queue_url)

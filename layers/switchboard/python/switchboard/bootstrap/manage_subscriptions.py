"""Builds the application of `functions/manage_subscriptions`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.hook_queue import hook_queue, subscription_store
from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.bootstrap.components.subscriptions import (
    derived_secrets,
    hook_posts,
    signed_poster,
)
from switchboard.config import ManageSubscriptionsSettings
from switchboard.usecases.subscription.manage import ManageSubscriptions

__all__ = ["api_keys", "application"]


@cache
def application() -> ManageSubscriptions:
    """Build the use cases once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = ManageSubscriptionsSettings.load()
    secrets, poster = derived_secrets(settings), hook_posts(settings)
    return ManageSubscriptions(
        subscriptions=subscription_store(settings),
        secrets=secrets,
        poster=poster,
        signed_poster=signed_poster(secrets, poster),
        queue=hook_queue(settings.hook_queue_url),
        clock=CLOCK,
        new_id=new_id,
        allow_loopback=settings.allow_loopback_webhooks,
    )

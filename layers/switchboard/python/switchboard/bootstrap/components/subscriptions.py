"""The components of the applications that post to callers' addresses."""

from __future__ import annotations

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import SubscriptionSettings
from switchboard.providers.hook_posts import HookPosts
from switchboard.storage.aws import CachedSecret
from switchboard.storage.subscriptions import DerivedSecrets
from switchboard.usecases.subscription.deliver import SignedPoster


def hook_posts(settings: SubscriptionSettings, *, own_hosts: tuple[str, ...] = ()) -> HookPosts:
    """Build the way to callers' addresses."""
    return HookPosts(own_hosts=own_hosts, allow_loopback=settings.allow_loopback_webhooks)


def derived_secrets(settings: SubscriptionSettings) -> DerivedSecrets:
    """Build the secrets of subscriptions, derived from the master secret."""
    return DerivedSecrets(CachedSecret(name=settings.signing_secret_name))


def signed_poster(secrets: DerivedSecrets, poster: HookPosts) -> SignedPoster:
    """Build the poster of signed bodies."""
    return SignedPoster(poster=poster, secrets=secrets, clock=CLOCK)

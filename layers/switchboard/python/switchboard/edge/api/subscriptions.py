"""Writes the JSON of the subscription routes (contract, "Subscriptions"). A secret is in no answer but two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from switchboard.domain.subscription.subscriptions import Subscription, SubscriptionState
from switchboard.domain.timestamps import to_rfc3339
from switchboard.edge.http import InboundRequest
from switchboard.usecases.subscription.manage import PostTest


def find_own_hosts(request: InboundRequest) -> tuple[str, ...]:
    """Return the host name under which the request reached this API. Nothing may be posted to it."""
    host = request.headers.get("host", "").partition(":")[0]
    return (host,) if host else ()


def to_json(subscription: Subscription, *, secret: str | None = None) -> dict[str, Any]:
    """Write one subscription. `secret` is given right after it was made."""
    rests_until = subscription.rests_until if subscription.state is SubscriptionState.RESTING else None
    failing_since = subscription.failing_since
    members = {
        "subscription_id": subscription.id,
        "url": subscription.url,
        "events": sorted(subscription.events),
        "states": None if subscription.states is None else sorted(subscription.states),
        "thin": subscription.thin,
        "description": subscription.description,
        "state": subscription.state.value,
        "disabled_reason": subscription.disabled and subscription.disabled.value,
        "failing_since": to_rfc3339(failing_since) if failing_since else None,
        "rests_until": to_rfc3339(rests_until) if rests_until else None,
        "last_problem": subscription.last_problem,
        "created_at": to_rfc3339(subscription.created_at),
        "updated_at": to_rfc3339(subscription.updated_at),
    }
    return members if secret is None else {**members, "secret": secret}


def page_to_json(subscriptions: Sequence[Subscription]) -> dict[str, Any]:
    """Write all subscriptions of a client. They always fit on one page."""
    return {"items": [to_json(subscription) for subscription in subscriptions], "next": None}


def test_to_json(test: PostTest) -> dict[str, Any]:
    """Write the result of a test post."""
    return {
        "webhook_id": test.webhook_id,
        "delivered": test.problem is None,
        "problem": test.problem,
        "status": test.status,
    }

"""Posts are signed as Standard Webhooks says: its own library is the receiver."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from switchboard.domain.subscription.signatures import derive_secret, format_secret, sign
from switchboard.domain.subscription.subscriptions import Generation
from tests.builders import a_subscription

MASTER = b"a-master-secret-that-signs-nothing-real"
BODY = json.dumps({"type": "sms.changed", "data": {"to": "+819000000001", "text": "確認"}}, ensure_ascii=False).encode()
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def headers(*secrets: bytes, body: bytes = BODY) -> dict[str, str]:
    timestamp = int(time.time())  # the library reads the real clock and refuses what is five minutes old
    signature = sign(secrets, webhook_id="sms_order1_3_1", timestamp=timestamp, body=body)
    return {"webhook-id": "sms_order1_3_1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def secret_of(generation: int, subscription: str = "a" * 32) -> bytes:
    return derive_secret(MASTER, subscription=subscription, generation=generation)


def test_the_receiver_with_the_secret_accepts_the_post() -> None:
    assert Webhook(format_secret(secret_of(1))).verify(BODY, headers(secret_of(1))) == json.loads(BODY)


@pytest.mark.parametrize("generation", [1, 2], ids=["former secret", "new secret"])
def test_a_post_with_both_signatures_is_accepted_by_both_secrets(generation: int) -> None:
    Webhook(format_secret(secret_of(generation))).verify(BODY, headers(secret_of(2), secret_of(1)))


@pytest.mark.parametrize(
    "secret",
    [secret_of(2), secret_of(1, "b" * 32), derive_secret(b"another", subscription="a" * 32, generation=1)],
    ids=["another generation", "another subscription", "another master"],
)
def test_a_receiver_with_another_secret_refuses_the_post(secret: bytes) -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(format_secret(secret)).verify(BODY, headers(secret_of(1)))


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(format_secret(secret_of(1))).verify(BODY.replace(b"+81", b"+82"), headers(secret_of(1)))


def test_the_former_secret_signs_for_24_hours_after_a_rotation() -> None:
    former = Generation(1, "1", until=NOW + timedelta(hours=24))
    subscription = a_subscription(generations=(former, Generation(2, "1")))

    def numbers(after: timedelta) -> list[int]:
        return [generation.number for generation in subscription.live_generations(NOW + after)]

    assert numbers(timedelta(hours=23, minutes=59)) == [2, 1]
    assert numbers(timedelta(hours=24)) == [2]

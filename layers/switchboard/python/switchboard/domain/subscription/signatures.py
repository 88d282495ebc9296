"""Derive the secrets of subscriptions, and sign posts as the Standard Webhooks specification (v1) says.

No secret of a subscription is stored. It follows from a master secret, whose version the subscription names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence


def derive_secret(master: bytes, *, subscription: str, generation: int) -> bytes:
    """Return the 32 bytes with which the posts of one generation are signed."""
    return hmac.digest(master, f"webhook|v1|{subscription}|{generation}".encode(), hashlib.sha256)


def format_secret(secret: bytes) -> str:
    """Write a secret as receivers configure it: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(secret).decode()


def sign(secrets: Sequence[bytes], *, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` of a post: one `v1` signature for each secret, separated by blanks.

    Args:
        secrets: the live secrets, the current one first.
        webhook_id: the `webhook-id` header.
        timestamp: the `webhook-timestamp` header, in Unix seconds.
        body: the exact bytes of the body.
    """
    content = f"{webhook_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(secret, content, hashlib.sha256) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)

"""Makes the sandbox's API keys and their items in the limits table, as an operator does in a deployment."""

import hashlib
from collections.abc import Sequence
from typing import Final

from sandbox.aws_clients import create_client

EVERY_SCOPE: Final = (
    "sms",
    "verify",
    "calls",
    "recordings:read",
    "recordings:correct",
    "status",
    "subscriptions",
    "suppressions",
)


def create_key(url: str, *, usage_plan: str, name: str) -> str:
    """Create an API key in the usage plan, and return the secret that callers send."""
    gateway = create_client("apigateway", url)
    key = gateway.create_api_key(name=name, enabled=True)
    gateway.create_usage_plan_key(usagePlanId=usage_plan, keyId=key["id"], keyType="API_KEY")
    secret: str = gateway.get_api_key(apiKey=key["id"], includeValue=True)["value"]
    return secret


def put_item(url: str, *, table: str, key: str, client: str, scopes: Sequence[str]) -> None:
    """Give a key its item: its client, which is also its name, and its scopes. `key` is the secret."""
    create_client("dynamodb", url).put_item(
        TableName=table,
        Item={
            "pk": {"S": f"CLIENT#{derive_id(key)}"},
            "client": {"S": client},
            "name": {"S": client},
            "scopes": {"SS": list(scopes)},
            "revoked": {"BOOL": False},
        },
    )


def derive_id(key: str) -> str:
    """Derive the id by which the functions know a key. The emulator does not pass the key's own id on to them."""
    return f"key-{hashlib.sha256(key.encode()).hexdigest()[:20]}"

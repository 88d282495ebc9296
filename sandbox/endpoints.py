"""Holds the addresses of a running sandbox, in a file for people, tests and other programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

WEBHOOKS: Final[Mapping[str, str]] = {
    "mediasms_delivery": "/v1/webhooks/mediasms/{token}/delivery",
    "mediasms_ivr": "/v1/webhooks/mediasms/{token}/ivr",
    "biztel": "/v1/webhooks/biztel/{token}/monitor_file_event",
    "baidu_vms": "/v1/webhooks/baidu_vms/{token}",
}
"""The path of each webhook by its name. The secret `webhook-tokens/` and the name holds its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The content of `.sandbox/endpoints.json`."""

    api_url: str
    """The part of an API address before `/v1/…`, without a final slash."""
    api_key: str = field(repr=False)
    """A key with every scope."""
    limited_api_key: str = field(repr=False)
    """A key with the scope `sms` only, of another client."""
    webhook_tokens: Mapping[str, str] = field(repr=False)
    """The token of each webhook, by its name in WEBHOOKS."""
    mediasms_url: str
    """The whole address of the send API. The addresses of the other two providers are origins."""
    biztel_url: str
    baidu_vms_url: str
    transcribe_url: str
    """The address of the service behind AWS_ENDPOINT_URL_TRANSCRIBE of the functions."""
    aws_endpoint_url: str
    region: str

    def webhook_url(self, webhook: str, token: str | None = None) -> str:
        """Return the address of a webhook, with another token than its own if one is given."""
        return self.api_url + WEBHOOKS[webhook].format(token=token or self.webhook_tokens[webhook])

    def write(self, path: Path) -> None:
        """Write the addresses to a file that only this user can read."""
        unfinished = path.with_suffix(".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n")
        unfinished.rename(path)

    @classmethod
    def read(cls, path: Path) -> "Endpoints":
        """Return the addresses that a running sandbox wrote."""
        return cls(**json.loads(path.read_text()))

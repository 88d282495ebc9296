"""What every application is made of."""

from __future__ import annotations

import time
from typing import Final

from switchboard.clock import SystemClock
from switchboard.storage import aws
from switchboard.storage.secrets import CachedSecret

CLOCK: Final = SystemClock()


def secret(name: str) -> CachedSecret:
    """A JSON secret of this deployment, read when it is first needed."""
    return CachedSecret(client=aws.secretsmanager, name=name, monotonic=time.monotonic)

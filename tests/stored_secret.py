"""Holds one secret in memory, for caches that read it as if from Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from botocore.exceptions import EndpointConnectionError

from switchboard.storage.aws import CachedSecret


class StoredSecret:
    """A secret that a test replaces, loses and counts the reads of. `now` is the time in seconds."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.is_down = False
        self.reads = 0
        self.now = 1000.0

    @classmethod
    def of_tokens(cls, tokens: Sequence[object]) -> StoredSecret:
        """Return a webhook's secret."""
        return cls({"tokens": list(tokens)})

    def cached(self, **options: Any) -> CachedSecret:
        """Return a new container's cache of this secret."""
        return CachedSecret(name="secret", client=lambda: cast("Any", self), monotonic=lambda: self.now, **options)

    def get_secret_value(self, **_arguments: str) -> dict[str, str]:
        """Answer as Secrets Manager does, or not at all."""
        self.reads += 1
        if self.is_down:
            raise EndpointConnectionError(endpoint_url="https://secretsmanager.invalid")
        text = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return {"SecretString": text, "VersionId": str(self.reads)}

"""Secrets from Secrets Manager, read once a container and again after a while, so that rotation needs no deployment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.storage.aws import secretsmanager, store_errors

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True, slots=True)
class SecretValue:
    """One version of a secret. Its values stay out of its repr."""

    version: str
    values: Mapping[str, Any] = field(repr=False)


class CachedSecret:
    """One JSON secret, kept for `max_age_s` seconds of `monotonic`."""

    def __init__(
        self,
        *,
        name: str,
        client: Callable[[], SecretsManagerClient] = secretsmanager,
        monotonic: Callable[[], float] = time.monotonic,
        max_age_s: float = 300.0,
    ) -> None:
        self._client = client
        self._name = name
        self._monotonic = monotonic
        self._max_age_s = max_age_s
        self._read_at = 0.0
        self._value: SecretValue | None = None

    def __call__(self) -> SecretValue:
        """Raises StoreUnavailableError, or ConfigurationError where it is not a JSON object."""
        now = self._monotonic()
        # Another thread may forget it at any moment.
        value = self._value
        if value is None:
            value = self._read()
            self._value, self._read_at = value, now
        elif now - self._read_at > self._max_age_s:
            value = self._renewed(value, now)
        return value

    def _renewed(self, value: SecretValue, now: float) -> SecretValue:
        """A value that was good a moment ago is better than none: a callback that is refused may never come again."""
        self._read_at = now
        with suppress(StoreUnavailableError):
            value = self._value = self._read()
        return value

    def forget(self) -> None:
        """The next use reads it anew: it may have been replaced."""
        self._value = None

    def _read(self) -> SecretValue:
        with store_errors("read secret"):
            answer = self._client().get_secret_value(SecretId=self._name)
        try:
            values = json.loads(answer["SecretString"])
        except (KeyError, ValueError):
            values = None
        if not isinstance(values, dict):
            raise ConfigurationError(f"the secret {self._name} is not a JSON object")
        return SecretValue(version=answer["VersionId"], values=values)

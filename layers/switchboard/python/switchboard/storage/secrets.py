"""Secrets from Secrets Manager, read once a container and again when they are old: a rotation needs no deployment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True, slots=True)
class SecretValue:
    """One version of a secret, whose values stay out of its repr."""

    version: str
    values: Mapping[str, Any] = field(repr=False)


class CachedSecret:
    """One JSON secret, cached for `max_age_s` seconds of `monotonic`."""

    def __init__(
        self,
        *,
        client: Callable[[], SecretsManagerClient],
        name: str,
        monotonic: Callable[[], float],
        max_age_s: float = 300.0,
    ) -> None:
        self._client = client
        self._name = name
        self._monotonic = monotonic
        self._max_age_s = max_age_s
        self._read_at = 0.0
        self._value: SecretValue | None = None

    def __call__(self) -> SecretValue:
        """Return the cached value, and read it first if it is missing or old.

        Raises:
            StoreUnavailableError: there is no cached value, and Secrets Manager did not answer.
            ConfigurationError: the secret is not a JSON object.
        """
        now = self._monotonic()
        # Another thread may call `forget` at any moment.
        value = self._value
        if value is None:
            value = self._read()
            self._value, self._read_at = value, now
        elif now - self._read_at > self._max_age_s:
            value = self._renew(value, now)
        return value

    def _renew(self, value: SecretValue, now: float) -> SecretValue:
        """Read the secret again; return the old value if Secrets Manager does not answer.

        A value that was good a moment ago is better than none: a provider may never repeat a refused callback.
        """
        self._read_at = now
        with suppress(StoreUnavailableError):
            value = self._value = self._read()
        return value

    def forget(self) -> None:
        """Forget the cached value: the secret may have been replaced, and the next use reads it again."""
        self._value = None

    def _read(self) -> SecretValue:
        with store_errors("read secret"):
            response = self._client().get_secret_value(SecretId=self._name)
        try:
            values = json.loads(response["SecretString"])
        except (KeyError, ValueError):
            values = None
        if not isinstance(values, dict):
            raise ConfigurationError(f"The secret {self._name} must be a JSON object")
        return SecretValue(version=response["VersionId"], values=values)

"""Secrets from Secrets Manager, read once a container and again when they are old: a rotation needs no deployment."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.storage.aws import secretsmanager, store_errors

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


_REVOKED_AFTER_S: Final = 50.0
"""The age at which a list of tokens is read again. A removed token opens its webhook for 60 s at the most."""
_REVOKED_WITHOUT_ANSWER_AFTER_S: Final = 300.0
"""The age of a list that still counts while Secrets Manager does not answer: else true callbacks would be lost."""


@dataclass(frozen=True, slots=True)
class SecretValue:
    """One version of a secret, whose values stay out of its repr."""

    version: str
    values: Mapping[str, Any] = field(repr=False)


class CachedSecret:
    """One JSON secret, cached for `max_age_s` seconds of `monotonic`.

    A value of that age is read again, at most once in `max_age_s`. While Secrets Manager does not answer, the cached
    value stays in use until `max_stale_s` after it was read. `refresh` reads at most once in `refresh_s`.
    """

    def __init__(
        self,
        *,
        name: str,
        client: Callable[[], SecretsManagerClient] = secretsmanager,
        monotonic: Callable[[], float] = time.monotonic,
        max_age_s: float = 300.0,
        max_stale_s: float = math.inf,
        refresh_s: float = 5.0,
    ) -> None:
        self._client = client
        self._name = name
        self._monotonic = monotonic
        self._max_age_s = max_age_s
        self._max_stale_s = max_stale_s
        self._refresh_s = refresh_s
        self._read_at = 0.0
        self._tried_at = -math.inf
        self._value: SecretValue | None = None

    def __call__(self) -> SecretValue:
        """Return the cached value, and read it first if it is missing or old.

        A value that was good a moment ago is better than none: a provider may never repeat a refused callback.

        Raises:
            StoreUnavailableError: Secrets Manager did not answer, and there is no cached value or it is too old.
            ConfigurationError: the secret is not a JSON object.
        """
        now = self._monotonic()
        # Another thread may call `forget` at any moment.
        value = self._value
        if value is None or now - self._read_at > self._max_stale_s:
            return self._read(now)
        if now - max(self._read_at, self._tried_at) > self._max_age_s:
            with suppress(StoreUnavailableError):
                value = self._read(now)
        return value

    def refresh(self) -> SecretValue:
        """Return a value that was read within the past `refresh_s` seconds, so that a refusal by it is certain.

        Raises:
            StoreUnavailableError: Secrets Manager does not answer, or did not within the past `refresh_s` seconds.
            ConfigurationError: the secret is not a JSON object.
        """
        now = self._monotonic()
        value = self._value
        if value is not None and now - self._read_at < self._refresh_s:
            return value
        if now - self._tried_at < self._refresh_s:
            raise StoreUnavailableError("read secret: no answer a moment ago")
        return self._read(now)

    def forget(self) -> None:
        """Forget the cached value: the secret may have been replaced, and the next use reads it again."""
        self._value = None

    def _read(self, now: float) -> SecretValue:
        self._tried_at = now
        with store_errors("read secret"):
            response = self._client().get_secret_value(SecretId=self._name)
        try:
            values = json.loads(response["SecretString"])
        except (KeyError, ValueError):
            values = None
        if not isinstance(values, dict):
            self.forget()
            raise ConfigurationError(f"The secret {self._name} must be a JSON object")
        value = self._value = SecretValue(version=response["VersionId"], values=values)
        self._read_at = now
        return value


def webhook_tokens(name: str) -> CachedSecret:
    """Build the cache of one webhook's live tokens."""
    return CachedSecret(name=name, max_age_s=_REVOKED_AFTER_S, max_stale_s=_REVOKED_WITHOUT_ANSWER_AFTER_S)

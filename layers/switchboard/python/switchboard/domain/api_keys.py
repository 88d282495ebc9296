"""Hold what an API key may do, and the client that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from switchboard.domain.errors import KeyRevokedError, ScopeMissingError


class Scope(StrEnum):
    """The groups of routes that a key may be allowed to use."""

    SMS = "sms"
    VERIFY = "verify"
    CALLS = "calls"
    RECORDINGS_READ = "recordings:read"
    RECORDINGS_CORRECT = "recordings:correct"
    STATUS = "status"
    SUBSCRIPTIONS = "subscriptions"
    SUPPRESSIONS = "suppressions"


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """The weight that one client may submit in one hour and in one day (JST).

    0 means no limit. None means that the value of a wider scope counts: a key's own limits may leave one to the
    deployment.
    """

    per_hour: int | None = None
    per_day: int | None = None

    def completed_by(self, wider: ClientLimits) -> ClientLimits:
        """Return these limits with those of `wider` in the place of None."""
        return ClientLimits(
            per_hour=wider.per_hour if self.per_hour is None else self.per_hour,
            per_day=wider.per_day if self.per_day is None else self.per_day,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One API key by its id, which is not the secret that callers send.

    All keys of one `client` share its messages, idempotency keys and limits. `name` is for people. What a `test` key
    orders is never sent.
    """

    id: str
    client: str
    name: str
    scopes: frozenset[Scope]
    limits: ClientLimits = ClientLimits()
    revoked: bool = False
    test: bool = False

    def require(self, scope: Scope | None) -> None:
        """Check that the key is live and has this scope. Every live key may use a route without a scope.

        Raises:
            KeyRevokedError: the key is revoked.
            ScopeMissingError: the key lacks the scope.
        """
        if self.revoked:
            raise KeyRevokedError("This key was revoked. Ask an operator for a new one")
        if scope is not None and scope not in self.scopes:
            raise ScopeMissingError(f"This key lacks the scope {scope}. Ask an operator to add it", scope=scope)

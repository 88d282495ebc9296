"""Port of the store of API keys."""

from __future__ import annotations

from typing import Protocol

from switchboard.domain.api_keys import ApiKey


class KeyStore(Protocol):
    """The items of API keys, which operators make. Every method may raise StoreUnavailableError."""

    def get(self, key_id: str) -> ApiKey | None:
        """Return the key, or None if it has no item. Limits that its item does not set are None.

        Raises:
            ConfigurationError: the item is unreadable.
        """
        ...

    def put(self, key: ApiKey) -> bool:
        """Create the key's item or replace it, and return True; return False if the key is revoked.

        A revoked key stays revoked.
        """
        ...

    def revoke(self, key_id: str) -> None:
        """Record that the key is revoked, whether or not it has an item. The item is never deleted."""
        ...

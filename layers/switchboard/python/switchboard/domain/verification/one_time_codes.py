"""Hash the code that a telephone call reads out, with a salt, and compare codes in constant time."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Final

from switchboard.domain.verification.callbacks import CodeHash

SALT_BYTES: Final = 16

MAX_WRITTEN_LENGTH: Final = 64
"""The length of the longest text that is read as a code."""

# scrypt's parameters: one hash takes 4 MiB and some milliseconds. A code has few digits, so no cost hides it for ever.
# This cost hides it for longer than the minutes in which it is worth something.
_N: Final = 2**12
_R: Final = 8


def hash_code(code: str, *, salt: bytes, at: datetime, recipient: str | None) -> CodeHash:
    """Return the only form in which a code may be stored. `salt` is SALT_BYTES random bytes."""
    return CodeHash(salt=salt, digest=_compute_digest(code, salt), at=at, recipient=recipient)


def matches_code(code: str, code_hash: CodeHash | None) -> bool:
    """Return whether the hash is that of `code`. Without a hash this takes the same time and returns False."""
    digest = _compute_digest(code, code_hash.salt if code_hash else bytes(SALT_BYTES))
    return hmac.compare_digest(digest, code_hash.digest if code_hash else bytes(len(digest))) and code_hash is not None


def _compute_digest(code: str, salt: bytes) -> bytes:
    return hashlib.scrypt(code.encode("utf-8", "surrogatepass"), salt=salt, n=_N, r=_R, p=1)

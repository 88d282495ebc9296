"""The code that a telephone is told: hashed with a salt, and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Final

from switchboard.domain.verification.verifications import CodeHash

SALT_BYTES: Final = 16

# 4 MiB and some milliseconds: a code has few digits and is worth something for minutes, so that no cost would hide it
# for ever; this one makes it outlast what it is good for.
_N: Final = 2**12
_R: Final = 8


def hash_code(code: str, *, salt: bytes, at: datetime, recipient: str | None) -> CodeHash:
    """What may be kept of a code. `salt` is SALT_BYTES of chance."""
    return CodeHash(salt=salt, digest=_digest(code, salt), at=at, recipient=recipient)


def matches_code(code: str, kept: CodeHash | None) -> bool:
    """Whether it is this code. Takes as long where there is none."""
    digest = _digest(code, kept.salt if kept else bytes(SALT_BYTES))
    return hmac.compare_digest(digest, kept.digest if kept else bytes(len(digest))) and kept is not None


def _digest(code: str, salt: bytes) -> bytes:
    return hashlib.scrypt(code.encode("utf-8", "surrogatepass"), salt=salt, n=_N, r=_R, p=1)

"""Derive the codes that we send, hash the codes that a provider reads out, and compare both in constant time."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from switchboard.domain.verification.callbacks import CodeHash

MAX_WRITTEN_LENGTH: Final = 64
"""The length of the longest text that is read as a code."""


@dataclass(frozen=True, slots=True)
class CodeKey:
    """One version of the deployment's code key. Without it an item reveals no code."""

    version: str
    value: bytes = field(repr=False)


def derive_code(key: CodeKey, *, verification_id: str, generation: int, length: int, test: bool = False) -> str:
    """Return the code of this generation of a verification: `length` digits, from the 256 bits of an HMAC.

    It is derived wherever it is needed, and stored nowhere. No phone shows a `test` verification's code, so that it is
    no secret: the generation's digit again and again, such as 111111, and 222222 after a resend.
    """
    if test:
        return str(generation % 10) * length
    digest = _authenticate(key, "code", verification_id, str(generation))
    return str(int.from_bytes(digest) % 10**length).zfill(length)


def hash_code(key: CodeKey, code: str, *, verification_id: str, at: datetime, recipient: str | None) -> CodeHash:
    """Return the only form in which a code that a call read out may be stored."""
    digest = _authenticate(key, "authcode", verification_id, code)
    return CodeHash(key_version=key.version, digest=digest, at=at, recipient=recipient)


def matches_hash(key: CodeKey, code: str, code_hash: CodeHash, *, verification_id: str) -> bool:
    """Return whether the hash is that of `code`. `key` has the version that the hash names."""
    return hmac.compare_digest(_authenticate(key, "authcode", verification_id, code), code_hash.digest)


def equals_code(code: str, derived: str) -> bool:
    """Compare two codes in constant time."""
    return hmac.compare_digest(_encode(code), _encode(derived))


def _authenticate(key: CodeKey, purpose: str, *parts: str) -> bytes:
    """Return an HMAC-SHA256 that differs from one purpose to another. An id and a number hold no NUL."""
    return hmac.digest(key.value, _encode("\0".join((purpose, *parts))), "sha256")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")

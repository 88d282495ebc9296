"""Ports of the stores that keep verifications, IVR calls and codes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from switchboard.domain.verification.verifications import CodeHash, IvrCallEvent, Verification
from switchboard.ports.orders import OrderStore


class IvrCallMatch(StrEnum):
    """The result of matching a call to one of our lines with a verification."""

    MATCHED = "matched"
    DUPLICATE = "duplicate"
    """A call was recorded before: nothing changes."""
    LATE = "late"
    """The call belongs to the verification and came after its deadline: it is recorded as late."""
    FOREIGN = "foreign"
    """The verification is for another number, line or mode."""
    NO_CANDIDATE = "no_candidate"
    """No verification has this id, or none has this number and line at that time."""
    SPOOLED = "spooled"
    """The state table did not answer: the sweep replays the call."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The verification that has a number and a line from `since` on and before `until`, by its claim."""

    verification_id: str
    claim_id: str
    since: datetime
    until: datetime

    def held_at(self, at: datetime) -> bool:
        """Tell whether the lease is held at this time."""
        return self.since <= at < self.until


class VerificationStore(OrderStore[Verification], Protocol):
    """The facts about verifications.

    A granted claim on a call-in takes its number and line by a lease, which is written together with the claim.
    `create` and `claim` raise VerificationOpenError if another verification has them. The lease ends a while after the
    verification's deadline, or at once if the provider is known not to have accepted the submission.
    """

    def count_attempt(self, verification_id: str) -> Verification | None:
        """Count one attempt, and return the verification with this attempt counted.

        Return None if all attempts are used or there is no such verification. This method is not harmless if it is
        repeated: a repetition may count once more, which is the safe side.
        """
        ...

    def record_checked(self, verification_id: str, *, at: datetime) -> Verification | None:
        """Add that the right code was sent at `at`, or return None if that is too late. The first such time stays."""
        ...


class IvrCallStore(Protocol):
    """The store of IVR calls. Every method may raise StoreUnavailableError and is harmless if it is repeated."""

    def lease(self, *, recipient: str, line: str) -> Lease | None:
        """Return the last lease on this number (E.164) and line."""
        ...

    def record_call(self, verification_id: str, ivr_call: IvrCallEvent, /, *, seen_at: datetime) -> IvrCallMatch:
        """Add that the number called, if this verification is for that number, line and mode."""
        ...

    def shorten_lease(self, lease: Lease, *, recipient: str, line: str, until: datetime) -> None:
        """End the lease at `until`, unless it ends earlier or belongs to another verification by now."""
        ...


class CodeStore(Protocol):
    """The store of the hashes of codes that were read out."""

    def record_code(self, verification_id: str, code: CodeHash) -> None:
        """Add a code's hash: one unconditional write, no read. The first hash for a number stays."""
        ...

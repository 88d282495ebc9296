"""Where the facts about verifications are kept, and what telephones and callers add to them."""

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
    """Who has a number and a line: from `since` on, and before `until`. `claim_id` is the claim it was taken with."""

    verification_id: str
    claim_id: str
    since: datetime
    until: datetime

    def held_at(self, at: datetime) -> bool:
        return self.since <= at < self.until


class VerificationStore(OrderStore[Verification], Protocol):
    """The facts about verifications. While a claim on a call-in is granted, its number and line are taken by a lease,
    written together with the claim: `create` and `claim` raise VerificationOpenError where another has them. The lease
    ends a while after the verification's deadline, and at once when its submission is known not to have been taken.
    """

    def count_attempt(self, verification_id: str) -> Verification | None:
        """Adds one to the attempts, unless as many have been made as may be or there is no such verification.

        Gives the verification with this attempt counted, or None where it was not. Not harmless when repeated: a
        repeat may count once more, which is the side to err on.
        """
        ...

    def record_checked(self, verification_id: str, *, at: datetime) -> Verification | None:
        """Adds that the right code was told at `at`, the first such time stays; None where that is not in time."""
        ...


class IvrCallStore(Protocol):
    """Keeps what is heard of calls. Every method may raise StoreUnavailableError and is harmless when repeated."""

    def lease(self, *, recipient: str, line: str) -> Lease | None:
        """The last lease on this number (E.164) and line."""
        ...

    def record_call(self, verification_id: str, notice: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        """Adds that the number called, if this verification is for that number, line and mode."""
        ...

    def shorten_lease(self, lease: Lease, *, recipient: str, line: str, until: datetime) -> None:
        """The lease ends at `until`, unless it ends earlier or is another's by now."""
        ...


class CodeStore(Protocol):
    """Keeps the hashes of codes that were read out."""

    def record_code(self, verification_id: str, code: CodeHash) -> None:
        """Adds a code's hash: one unconditional write, no read; the first for a number stays."""
        ...

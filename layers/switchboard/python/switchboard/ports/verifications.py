"""Ports of the stores that keep verifications, IVR calls and codes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from switchboard.domain.verification.callbacks import IvrCallEvent
from switchboard.domain.verification.verifications import CodeCheck, Resend, Verification, VerificationWithChannels
from switchboard.ports.orders import ClaimAnswer, OrderStore


class IvrCallMatch(StrEnum):
    """The result of matching a call to one of our lines with a verification."""

    MATCHED = "matched"
    DUPLICATE = "duplicate"
    """A call was recorded before: nothing changes."""
    LATE = "late"
    """The call belongs to the verification and came after its deadline or its cancellation: it is recorded as late."""
    FOREIGN = "foreign"
    """The verification is for another number, line or mode."""
    NO_CANDIDATE = "no_candidate"
    """No verification has this id, or none has this number and line at that time."""
    SPOOLED = "spooled"
    """The state table did not answer: the sweep replays the call."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The verification that has a number and a line from `since` on and before `until`, by its claim.

    `released_to` is the client that canceled the verification and may have them at once. It is None before that.
    """

    verification_id: str
    claim_id: str
    since: datetime
    until: datetime
    released_to: str | None = None

    def covers(self, at: datetime) -> bool:
        """Tell if the lease is valid at this time."""
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """The answer to a conditional write: the verification after it if it was `written`, else the one before it.

    `verification` is None if the id holds no verification.
    """

    written: bool
    verification: Verification | None


class VerificationStore(OrderStore[Verification], Protocol):
    """The facts about verifications.

    A granted claim on a call-in takes its number and line by a lease, which is written together with the claim.
    `create` and `claim` raise VerificationOpenError if another verification has them. The lease ends a while after the
    verification's deadline, or at once if the provider is known not to have accepted the submission.

    A verification is open if it is neither verified nor canceled and its deadline has not passed.
    """

    def record_right_code(self, verification_id: str, check: CodeCheck) -> WriteAnswer:
        """Add that this check had the right code, if the verification is open and has attempts left.

        The answer is also `written` if the stored check is this very check, whose answer had been lost.
        """
        ...

    def record_wrong_code(self, verification_id: str, *, at: datetime) -> WriteAnswer:
        """Count one wrong code, if the verification is open and has attempts left.

        This method is not harmless if it is repeated: a repetition may count once more, which is the safe side.
        """
        ...

    def record_canceled(self, verification_id: str, *, at: datetime) -> WriteAnswer:
        """Add that the verification was canceled, if it is open. No claim is granted on it from then on."""
        ...

    def release_line(self, verification: Verification) -> None:
        """Let the client of a canceled verification have its number and line at once, and others after a while."""
        ...


class ChannelStore(OrderStore[Verification], Protocol):
    """The facts about the further channels of verifications: of resent SMS, and of calls that they fall back to.

    A claim of such a channel is granted only together with a change of its verification, if that is open and has no
    other resends than `verification` has.
    """

    def with_channels(self, verification: Verification) -> VerificationWithChannels:
        """Return the verification with its stored further channels, in the order of their ids.

        One that has any is read anew together with them, at one instant.
        """
        ...

    def claim_resend(
        self, verification: Verification, channel: Verification, resend: Resend
    ) -> ClaimAnswer[Verification]:
        """Write the new channel with its claim, and add the resend to the verification: the older code ends."""
        ...

    def claim_fallback(self, verification: Verification, channel: Verification) -> ClaimAnswer[Verification]:
        """Write the fallback's channel with its last claim, and record at the verification that it was claimed.

        A channel that exists gets a further claim only if every earlier one is known to have sent nothing.
        """
        ...

    def record_unsent_resend(self, verification_id: str, resend: Resend, *, place: int) -> None:
        """Record at the verification that nothing of its resend number `place` (from 0) was sent."""
        ...

    def record_refused_call(self, verification_id: str) -> None:
        """Record at the verification that the call it fell back to was rejected."""
        ...


class FallbackQueue(Protocol):
    """The queue of verifications whose number may have to be called. Its entries carry ids."""

    def put_fallback(self, order_id: str, *, delay_s: int = 0) -> None:
        """Put the id of a verification, or of one of its channels, into the queue. `delay_s` is 900 at most.

        Raises:
            StoreUnavailableError: the entry may or may not be in the queue.
        """
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


class WrongCodeLimit(Protocol):
    """The limit of wrong codes for one number in an hour, over all of its verifications and all clients.

    Both methods are writes to one item, so that they have one order: a code counts as right only if fewer wrong codes
    than the limit were counted before it, also among simultaneous guesses.
    """

    def require_below(self, *, recipient: str, at: datetime) -> None:
        """Return if a right code for `recipient` (E.164) counts as right. Count nothing.

        Raises:
            WrongCodeLimitError: the limit is reached.
            StoreUnavailableError: the code must not count as right.
        """
        ...

    def count(self, *, recipient: str, at: datetime) -> None:
        """Count one wrong code for `recipient` (E.164), before the caller learns that it is wrong.

        Raises:
            WrongCodeLimitError: the limit is reached. Nothing was counted, and the caller must learn nothing.
            StoreUnavailableError: the code may have been counted, and the caller must learn nothing.
        """
        ...

"""Render a channel's SMS when it is submitted, and show a verification with all of its channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from switchboard.domain.orders import Status
from switchboard.domain.sms.messages import SmsSubmission
from switchboard.domain.verification.one_time_codes import derive_code
from switchboard.domain.verification.verifications import (
    ChannelView,
    Verification,
    VerificationState,
    VerificationSubmission,
    VerificationWithChannels,
    message_submission_of,
    submission_of,
)
from switchboard.ports.callbacks import CodeKeys
from switchboard.ports.clock import Clock
from switchboard.ports.verifications import ChannelStore, VerificationStore
from switchboard.usecases.query import OrderView, QueryOrders

ChannelSubmission = VerificationSubmission | SmsSubmission


class ComposeChannel:
    """What the provider takes of a channel. Only here a text has its code."""

    def __init__(self, code_keys: CodeKeys) -> None:
        self._code_keys = code_keys

    def __call__(self, channel: Verification) -> ChannelSubmission:
        """Return the submission. Raises what CodeKeys raises."""
        recipe = channel.recipe
        if recipe is None:
            return submission_of(channel)
        code = derive_code(
            self._code_keys.find(recipe.key_version),
            verification_id=channel.parent_id or channel.id,
            generation=channel.first_generation,
            length=recipe.length,
        )
        return message_submission_of(channel, code=code)


@dataclass(frozen=True, slots=True)
class VerificationView(OrderView[Verification, Status[VerificationState]]):
    """A verification, its status and its channels at the moment of the query. `sequence` counts all of their facts."""

    channels: Sequence[ChannelView]
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewVerification:
    """The derivation of a verification's view from the facts about it and its channels."""

    status_of: Callable[[Verification, datetime], Status[VerificationState]]
    channels_of: Callable[[Verification, Sequence[Verification], datetime], Sequence[ChannelView]]

    def __call__(self, facts: VerificationWithChannels, now: datetime) -> VerificationView:
        """Return the view at `now`."""
        return VerificationView(
            order=facts.verification,
            status=self.status_of(facts.verification, now),
            channels=self.channels_of(facts.verification, facts.further, now),
            sequence=facts.sequence,
        )


class QueryVerifications(QueryOrders[Verification, Status[VerificationState]]):
    """The queries for verifications. One that was resent, or that fell back, takes one read more."""

    def __init__(
        self,
        *,
        orders: VerificationStore,
        channels: ChannelStore,
        clock: Clock,
        view: ViewVerification,
    ) -> None:
        super().__init__(orders=orders, clock=clock, status_of=view.status_of)
        self._channels = channels
        self._view_at = view

    def view(self, order: Verification) -> VerificationView:
        """Return the verification with its present status and channels."""
        return self._view_at(self._channels.with_channels(order), self._clock.now())

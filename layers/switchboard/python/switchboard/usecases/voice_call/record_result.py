"""Record a provider's callback about a voice call: raw, and as a fact about the call that it names."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import StoreUnavailableError
from switchboard.ports.callbacks import CallbackArchive, EventPlace, SpooledEvent
from switchboard.ports.clock import Clock
from switchboard.ports.voice_calls import CallResultStore


class ResultOutcome(StrEnum):
    """The place that a result went to.

    An `unmatched` one names a call that is not ours, or is not ours yet. An `overflowed` one is kept only until the
    next result of its call: there are too many different ones.
    """

    RECORDED = "recorded"
    UNMATCHED = "unmatched"
    OVERFLOWED = "overflowed"
    SPOOLED = "spooled"


_OUTCOMES: Final = {
    EventPlace.RECORDED: ResultOutcome.RECORDED,
    EventPlace.ORPHAN: ResultOutcome.UNMATCHED,
    EventPlace.OVERFLOWED: ResultOutcome.OVERFLOWED,
}


class RecordCallResult:
    """The use case of the webhook. Baidu VMS may never repeat a result: what the state table cannot take is spooled."""

    def __init__(self, *, calls: CallResultStore, archive: CallbackArchive, clock: Clock) -> None:
        self._calls = calls
        self._archive = archive
        self._clock = clock

    def __call__(self, result: CallResult) -> ResultOutcome:
        """Record the result, and return once it is durable.

        Raises:
            StoreUnavailableError: neither the state table nor the archive took the result.
            StoreRefusedError: the state table refuses the result for good.
        """
        now = self._clock.now()
        try:
            place = self._calls.record_result(result, seen_at=now)
        except StoreUnavailableError:
            self._archive.spool(SpooledEvent(event=result, seen_at=now))
            return ResultOutcome.SPOOLED
        return _OUTCOMES[place]

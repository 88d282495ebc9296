"""How far this machine's clock is from DynamoDB's, learnt from the `Date` of its ordinary answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ASKED_AT: Final = "switchboard_asked_at"


class StoreClock:
    """Watches all answers that one client gets, also those to other askers than its own.

    `Date` has whole seconds, and an answer took a while to come: what is certain is an interval, and of that the part
    nearest to zero is told.
    """

    def __init__(self, client: DynamoDBClient, *, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._ahead_s: float | None = None
        client.meta.events.register("before-call.dynamodb", self._asked)
        client.meta.events.register("after-call.dynamodb", self._answered)

    def ahead_s(self) -> float | None:
        """Positive: this machine's clock is ahead by at least so much. None before the first answer with a date."""
        return self._ahead_s

    def _asked(self, *, context: dict[str, Any], **_: object) -> None:
        context[_ASKED_AT] = self._now_s()

    def _answered(self, *, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        headers = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        try:
            second = parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError):
            return
        lowest, highest = context[_ASKED_AT] - second - 1, self._now_s() - second
        self._ahead_s = max(0.0, lowest) + min(0.0, highest)

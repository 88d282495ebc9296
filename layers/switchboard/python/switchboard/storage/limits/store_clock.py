"""The difference between this container's clock and DynamoDB's, from the `Date` header of its ordinary answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_REQUESTED_AT: Final = "switchboard_requested_at"


class StoreClock:
    """An observer of all answers to one client, whichever store requested them.

    `Date` has whole seconds, and an answer takes a while to arrive. So only an interval is certain, and the difference
    is the point of it that is nearest to zero.
    """

    def __init__(self, client: DynamoDBClient, *, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._ahead_s: float | None = None
        client.meta.events.register("before-call.dynamodb", self._record_request)
        client.meta.events.register("after-call.dynamodb", self._record_answer)

    def ahead_s(self) -> float | None:
        """Return by how many seconds this container's clock is at least ahead (negative: behind).

        Returns None before the first answer with a date.
        """
        return self._ahead_s

    def _record_request(self, *, context: dict[str, Any], **_: object) -> None:
        context[_REQUESTED_AT] = self._now_s()

    def _record_answer(self, *, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        headers = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        try:
            second = parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError):
            return
        least, most = context[_REQUESTED_AT] - second - 1, self._now_s() - second
        self._ahead_s = max(0.0, least) + min(0.0, most)

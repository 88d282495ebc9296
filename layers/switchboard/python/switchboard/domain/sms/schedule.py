"""Decide when a message leaves whose caller does not want it sent at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.timestamps import JAPAN

LONGEST_AHEAD: Final = timedelta(days=30)
"""The longest time by which a message may be scheduled ahead."""

_RANGE: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The hours of each day in Japan, from `start` to before `end`, that may span midnight. Equal times are none."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """Read a range such as `21:00-08:00`.

        Raises:
            ValueError: the text is no such range.
        """
        if (match := _RANGE.fullmatch(text)) is None:
            raise ValueError
        hours = [int(digits) for digits in match.groups()]
        return cls(start=time(hours[0], hours[1]), end=time(hours[2], hours[3]))

    def skip(self, at: datetime) -> datetime:
        """Return `at`, or the end of the quiet hours that it falls into."""
        local = at.astimezone(JAPAN)
        now = local.time()
        within_a_day = self.start <= self.end
        is_quiet = self.start <= now < self.end if within_a_day else (now >= self.start or now < self.end)
        if not is_quiet:
            return at
        end = local.replace(hour=self.end.hour, minute=self.end.minute, second=0, microsecond=0)
        return end if end > local else end + timedelta(days=1)


def choose_send_at(requested: datetime | None, *, quiet_hours: QuietHours | None, now: datetime) -> datetime | None:
    """Return when a message that is requested at `now` leaves, in whole seconds, or None if it leaves at once."""
    if requested is not None and requested.microsecond:
        requested = requested.replace(microsecond=0) + timedelta(seconds=1)
    earliest = now if requested is None else requested
    send_at = earliest if quiet_hours is None else quiet_hours.skip(earliest)
    return None if requested is None and send_at == now else send_at


def check_schedule(
    requested: datetime | None, send_at: datetime | None, *, not_after: datetime | None, now: datetime
) -> None:
    """Check the time that a caller requested, and the time that the message would leave.

    Raises:
        InvalidRequestError: it has passed, is too far ahead, or is not before `not_after`.
    """
    field = "quiet_hours" if requested is None else "send_at"
    if requested is not None and requested <= now:
        raise InvalidRequestError(FieldProblem(field, "has already passed", code="in_the_past"))
    if requested is not None and requested > now + LONGEST_AHEAD:
        raise InvalidRequestError(FieldProblem(field, f"is more than {LONGEST_AHEAD.days} days ahead", "too_far"))
    if send_at is not None and not_after is not None and send_at >= not_after:
        message = "end after not_after" if requested is None else "leaves no time before not_after"
        raise InvalidRequestError(FieldProblem(field, message, "conflict"))

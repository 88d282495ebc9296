"""Decide whose call a recording is, and when it began, if the provider's reports of it differ.

A call action is easily forged, and a forged one may come first. The names that BIZTEL gives the files cannot be forged.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from switchboard.domain.phone_numbers import canonical_tel
from switchboard.domain.recording.facts import Recording, RecordingFileName

_MIN_NUMBER_LENGTH: Final = 9
"""The digits of the shortest telephone number, its leading 0 included. Extensions are shorter."""


def other_party(name: RecordingFileName) -> str:
    """Return the other party's number.

    The naming rule has the caller and the called party and does not say which of them is ours. The other party is the
    first of them, the caller first, that is a telephone number and no extension.
    """
    for number in (name.from_number, name.to_number):
        if number.isascii() and number.isdigit() and len(number) >= _MIN_NUMBER_LENGTH:
            return number
    return name.from_number or name.to_number


def tel_and_time(recording: Recording, names: Collection[RecordingFileName]) -> tuple[str, datetime | None]:
    """Return the other party and the time of the call, from reports and from the `names` of the stored files.

    If all reports agree, they are right. If they differ, the file's name has the time, and the first report with a
    number of that name has the other party. Without a file the first report stands.
    """
    name = min((name for name in names if name.recording_id == recording.recording_id), key=_time, default=None)
    if name is None or len({(notice.tel, notice.date) for notice in recording.notices}) <= 1:
        return recording.tel, recording.called_at
    numbers = {canonical_tel(number) for number in (name.from_number, name.to_number) if number}
    named = (notice.tel for notice in recording.notices if canonical_tel(notice.tel) in numbers)
    return next(named, other_party(name)), name.started_at


def _time(name: RecordingFileName) -> datetime:
    return name.started_at

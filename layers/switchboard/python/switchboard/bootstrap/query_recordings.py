"""The application of `functions/query_recordings` and of `functions/correct_recording_roles`."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

from switchboard.bootstrap.components.recordings import policy, recording_files, recording_store
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import QueryRecordingsSettings
from switchboard.domain.errors import UnreadableFileNameError
from switchboard.domain.recording.facts import Side
from switchboard.providers.biztel.file_names import parse_file_name
from switchboard.usecases.recording.query import QueryRecordings


@cache
def application() -> QueryRecordings:
    """Built once a container. Raises ConfigurationError."""
    settings = QueryRecordingsSettings.load()
    return QueryRecordings(
        recordings=recording_store(settings),
        files=recording_files(settings),
        policy=policy(settings),
        clock=CLOCK,
        url_lifetime=timedelta(minutes=settings.recording_url_minutes),
        side_of=_side_of,
    )


def _side_of(file_name: str) -> Side | None:
    try:
        return parse_file_name(file_name).side
    except UnreadableFileNameError:
        return None

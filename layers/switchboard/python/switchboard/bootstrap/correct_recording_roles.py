"""Builds the application of `functions/correct_recording_roles`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.recordings import query_recordings
from switchboard.config import CorrectRecordingRolesSettings
from switchboard.usecases.recording.query import QueryRecordings

__all__ = ["api_keys", "application"]


@cache
def application() -> QueryRecordings:
    """Build the use case once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    return query_recordings(CorrectRecordingRolesSettings.load())

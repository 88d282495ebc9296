"""Where recordings come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from switchboard.domain.recordings import Channel


class Download(Protocol):
    """One channel's file on its way. `length` is in bytes, or None where it is not announced."""

    @property
    def content_type(self) -> str: ...

    @property
    def length(self) -> int | None: ...

    @property
    def file_name(self) -> str: ...

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes, in pieces of bounded size; to be asked for once. The file is whole only when this ends
        by itself. Raises the ProviderError tree."""
        ...


class RecordingSource(Protocol):
    """A provider that has recordings."""

    def open(self) -> None:
        """Has a usable connection ready. Raises NotSentError."""
        ...

    def download(
        self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
    ) -> AbstractContextManager[Download]:
        """Asks once for one channel's file; it is over after `deadline_s` at the latest. Raises the ProviderError
        tree."""
        ...

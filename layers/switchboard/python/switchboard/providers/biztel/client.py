"""Downloads from BIZTEL's 録音ファイル取得API: one request for one channel, handed on piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from switchboard.domain.errors import ConfigurationError, DownloadFailedError, OutcomeUnknownError
from switchboard.domain.recording.facts import Channel, is_recording_id
from switchboard.domain.recording.mp3 import begins_like_mp3
from switchboard.providers.biztel.answers import MAX_ERROR_BYTES, audio_type, error_for, not_audio
from switchboard.providers.biztel.file_names import file_name_in
from switchboard.providers.biztel.response_codes import CONTENT_TYPES, PROVIDER
from switchboard.providers.transport import Connection, StreamedAnswer, split_endpoint

PATH: Final = "/public/api/v1/monitor/"
CHUNK_BYTES: Final = 256 * 1024
OPERATION: Final = "download_recording"
IDLE_LIMIT_S: Final = 6.0
"""How long an opened connection may wait for its one request: longer than anybody waits for a slot, so that nobody
connects after it. No earlier request can have made the server count its idleness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """The account's APIトークン. Raises ConfigurationError where a header could not carry it."""

    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.value or not self.value.isascii() or not self.value.isprintable() or " " in self.value:
            raise ConfigurationError("BIZTEL's API token is empty, or is not printable ASCII without a space")

    def authorization(self) -> str:
        """The value of the Authorization header (section 3.2)."""
        return f"Token {self.value}"


class BiztelDownload:
    """Implements ports.Download: a recording whose first bytes have been seen, and whose rest is still to come."""

    def __init__(self, *, answer: StreamedAnswer, first: bytes, content_type: str, file_name: str) -> None:
        self.content_type = content_type
        self.file_name = file_name
        self.length = answer.length
        self._answer = answer
        self._first = first

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes, at most CHUNK_BYTES at a time, none of them empty; to be asked for once. Only when it has
        ended by itself is the file whole: a transfer that was cut or stalled, that held less or more than it
        announced, raises DownloadFailedError."""
        chunk, self._first = self._first, b""
        while chunk:
            yield chunk
            chunk = _read(self._answer, CHUNK_BYTES)


class BiztelClient:
    """Implements ports.RecordingSource.

    `base_url` is the server's origin, `https://{FQDN}:8000`. `connection` is a Connection to it, made with the
    time-outs wanted; without one, a Connection is made whose downloads end after `deadline_s` however slowly bytes
    drip, and after `silence_s` without any. `token` is asked before each request. `require_length` refuses a file
    whose end only the closing of the connection shows: nobody could say whether it was cut.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: Callable[[], ApiToken],
        connection: Connection | None = None,
        deadline_s: float = 300.0,
        silence_s: float = 20.0,
        require_length: bool = True,
        allow_plain_http: bool = False,
    ) -> None:
        origin, path = split_endpoint(base_url, allow_plain_http=allow_plain_http)
        if path != "/":
            raise ConfigurationError("BIZTEL's endpoint is an origin without a path")
        self._connection = connection or Connection(
            origin=origin,
            provider=PROVIDER,
            allow_plain_http=allow_plain_http,
            read_timeout_s=silence_s,
            idle_limit_s=IDLE_LIMIT_S,
            deadline_s=deadline_s,
        )
        if self._connection.origin != origin:
            raise ConfigurationError("BIZTEL's connection leads to another origin than its endpoint")
        self._token = token
        self._require_length = require_length

    def open(self) -> None:
        """Has a token and a usable connection ready. Raises NotSentError, and what `token` raises."""
        self._token()
        self._connection.open()

    @contextmanager
    def download(
        self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
    ) -> Iterator[BiztelDownload]:
        """Asks for one channel's file (section 3), once, and hands it on while it comes in.

        `deadline_s` bounds this download, from the first byte of the request to the last of the answer, what its
        reader does in between included. Raises ValueError for what is no recording's id, NotSentError while nothing
        was asked, else what `answers.error_for` says, NotAudioError where a 200 does not begin like an MP3, and
        DownloadFailedError for a transfer that went wrong. The connection is closed on leaving.
        """
        if not is_recording_id(recording_id):
            raise ValueError("this cannot be a recording's id")
        content_type = CONTENT_TYPES[channel]
        target = f"{PATH}{recording_id}?{urlencode({'content_type': content_type})}"
        headers = {"Authorization": self._token().authorization(), "Accept": "*/*"}
        with ExitStack() as stack:
            streaming = self._connection.stream(
                "GET", target, headers=headers, operation=OPERATION, deadline_s=deadline_s
            )
            try:
                answer = stack.enter_context(streaming)
            except OutcomeUnknownError as error:
                raise _failed(str(error)) from error
            yield _checked(
                answer, default_name=f"{recording_id}_{content_type}.mp3", require_length=self._require_length
            )

    def close(self) -> None:
        """Lets go of the connection."""
        self._connection.close()


def _checked(answer: StreamedAnswer, *, default_name: str, require_length: bool) -> BiztelDownload:
    if answer.status != 200:
        raise error_for(answer.status, answer.headers, _error_body(answer), operation=OPERATION)
    content_type = audio_type(answer.headers.get("content-type", ""))
    if content_type is None:
        raise not_audio("by its content type", operation=OPERATION, body=_error_body(answer))
    if not answer.delimited and require_length:
        raise _failed(f"{PROVIDER}'s answer does not say where it ends", status=answer.status)
    first = _read(answer, CHUNK_BYTES)
    if not begins_like_mp3(first):
        raise not_audio("by its first bytes", operation=OPERATION, body=first)
    file_name = file_name_in(answer.headers.get("content-disposition", ""), default=default_name)
    return BiztelDownload(answer=answer, first=first, content_type=content_type, file_name=file_name)


def _read(answer: StreamedAnswer, limit: int) -> bytes:
    try:
        return answer.read(limit)
    except OutcomeUnknownError as error:
        raise _failed(str(error), status=answer.status) from error


def _error_body(answer: StreamedAnswer) -> bytes:
    """What an error's body says; nothing where it cannot be heard, so that the status decides alone."""
    try:
        return answer.read(MAX_ERROR_BYTES)
    except OutcomeUnknownError:
        return b""


def _failed(message: str, *, status: int | None = None) -> DownloadFailedError:
    return DownloadFailedError(message, provider=PROVIDER, operation=OPERATION, http_status=status)

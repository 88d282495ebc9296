"""Download from BIZTEL's 録音ファイル取得API: one request for one channel, passed on piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from switchboard.domain.errors import ConfigurationError, DownloadFailedError, OutcomeUnknownError
from switchboard.domain.recording.facts import Channel, is_recording_id
from switchboard.domain.recording.mp3 import begins_like_mp3
from switchboard.providers.biztel.answers import MAX_ERROR_BYTES, build_error, build_not_audio_error, choose_media_type
from switchboard.providers.biztel.file_names import find_file_name
from switchboard.providers.biztel.response_codes import CONTENT_TYPES, PROVIDER
from switchboard.providers.transport import Connection, StreamedAnswer, parse_endpoint

PATH: Final = "/public/api/v1/monitor/"
CHUNK_BYTES: Final = 256 * 1024
OPERATION: Final = "download_recording"
IDLE_LIMIT_S: Final = 6.0
"""The seconds that an opened connection may wait for its one request. It is longer than the wait for a slot, so that no
request has to connect after its slot. No earlier request can have made the server count the connection's idle time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """The account's APIトークン.

    Raises:
        ConfigurationError: a header cannot carry it.
    """

    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.value or not self.value.isascii() or not self.value.isprintable() or " " in self.value:
            raise ConfigurationError("BIZTEL's API token is empty, or is not printable ASCII without a space")

    def authorization(self) -> str:
        """Build the value of the Authorization header (section 3.2)."""
        return f"Token {self.value}"


class BiztelDownload:
    """The ports.Download of a recording whose first bytes have been read and whose rest is still to come."""

    def __init__(self, *, answer: StreamedAnswer, first: bytes, content_type: str, file_name: str) -> None:
        self.content_type = content_type
        self.file_name = file_name
        self.length = answer.length
        self._answer = answer
        self._first = first

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes, at most CHUNK_BYTES at a time, never an empty chunk. It may be called once.

        The file is whole only after the iterator has ended by itself.

        Raises:
            DownloadFailedError: the transfer was cut or stalled, or was shorter or longer than it announced.
        """
        chunk, self._first = self._first, b""
        while chunk:
            yield chunk
            chunk = _read(self._answer, CHUNK_BYTES)


class BiztelClient:
    """The ports.RecordingSource over BIZTEL's API.

    `base_url` is the server's origin, `https://{FQDN}:8000`. `connection` is a Connection to it with the time-outs of
    the deployment. Without one, the client makes a Connection whose downloads end after `deadline_s`, however slowly
    the bytes come, and after `silence_s` without any. `token` is called before each request. `require_length` refuses a
    file whose end only the closing of the connection shows: it might have been cut.
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
        endpoint = parse_endpoint(base_url, allow_plain_http=allow_plain_http)
        if endpoint.path != "/":
            raise ConfigurationError("BIZTEL's endpoint must be an origin without a path")
        self._connection = connection or Connection(
            origin=endpoint.origin,
            provider=PROVIDER,
            allow_plain_http=allow_plain_http,
            read_timeout_s=silence_s,
            idle_limit_s=IDLE_LIMIT_S,
            deadline_s=deadline_s,
        )
        if self._connection.origin != endpoint.origin:
            raise ConfigurationError("BIZTEL's connection leads to another origin than its endpoint")
        self._token = token
        self._require_length = require_length

    def open(self) -> None:
        """Read the token and open a usable connection. Errors of `token` pass through.

        Raises:
            NotSentError: BIZTEL cannot be reached.
        """
        self._token()
        self._connection.open()

    @contextmanager
    def download(
        self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
    ) -> Iterator[BiztelDownload]:
        """Request one channel's file (section 3) once, and pass it on while it comes in.

        `deadline_s` bounds this download from the first byte of the request to the last byte of the answer, including
        the reader's own work in between. The connection is closed on leaving.

        Raises:
            ValueError: this is not a recording's id.
            NotSentError: the request did not leave.
            NotAudioError: an answer with 200 does not begin like an MP3.
            DownloadFailedError: the transfer failed.
            ProviderError: BIZTEL refused the request (see `answers.build_error`).
        """
        if not is_recording_id(recording_id):
            raise ValueError("this is not a recording's id")
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
                raise _build_failure(str(error)) from error
            yield _read_head(
                answer, default_name=f"{recording_id}_{content_type}.mp3", require_length=self._require_length
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _read_head(answer: StreamedAnswer, *, default_name: str, require_length: bool) -> BiztelDownload:
    if answer.status != 200:
        raise build_error(answer.status, answer.headers, _read_error_body(answer), operation=OPERATION)
    content_type = choose_media_type(answer.headers.get("content-type", ""))
    if content_type is None:
        raise build_not_audio_error("by its content type", operation=OPERATION, body=_read_error_body(answer))
    if not answer.delimited and require_length:
        raise _build_failure(f"{PROVIDER}'s answer does not say where it ends", status=answer.status)
    first = _read(answer, CHUNK_BYTES)
    if not begins_like_mp3(first):
        raise build_not_audio_error("by its first bytes", operation=OPERATION, body=first)
    file_name = find_file_name(answer.headers.get("content-disposition", ""), default=default_name)
    return BiztelDownload(answer=answer, first=first, content_type=content_type, file_name=file_name)


def _read(answer: StreamedAnswer, limit: int) -> bytes:
    try:
        return answer.read(limit)
    except OutcomeUnknownError as error:
        raise _build_failure(str(error), status=answer.status) from error


def _read_error_body(answer: StreamedAnswer) -> bytes:
    """Read an error's body, or return nothing if it does not come in: then the status decides alone."""
    try:
        return answer.read(MAX_ERROR_BYTES)
    except OutcomeUnknownError:
        return b""


def _build_failure(message: str, *, status: int | None = None) -> DownloadFailedError:
    return DownloadFailedError(message, provider=PROVIDER, operation=OPERATION, http_status=status)

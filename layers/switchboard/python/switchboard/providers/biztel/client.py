"""Download from BIZTEL's 録音ファイル取得API: one request for one channel, passed on piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from switchboard.domain.errors import (
    ConfigurationError,
    DownloadFailedError,
    DownloadTooLargeError,
    OutcomeUnknownError,
)
from switchboard.domain.recording.facts import Channel, is_recording_id
from switchboard.providers.biztel.answers import MAX_ERROR_BYTES, build_error
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
    """The ports.Download of an answer whose first bytes have been read and whose rest is still to come.

    What the answer's Content-Type says is not used: the bytes decide.
    """

    def __init__(
        self, *, answer: StreamedAnswer, first: bytes, file_name: str, max_bytes: int, end_is_certain: bool
    ) -> None:
        self.file_name = file_name
        self.end_is_certain = end_is_certain
        self._answer = answer
        self._first = first
        self._max_bytes = max_bytes

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes, at most CHUNK_BYTES at a time, never an empty chunk. It may be called once.

        The file is whole only after the iterator has ended by itself.

        Raises:
            DownloadFailedError: the transfer was cut or stalled, or was shorter or longer than it announced.
            DownloadTooLargeError: more bytes came than this deployment takes.
        """
        chunk, self._first, received = self._first, b"", 0
        while chunk:
            received += len(chunk)
            if received > self._max_bytes:
                raise _build_too_large()
            yield chunk
            chunk = _read(self._answer, CHUNK_BYTES)


class BiztelClient:
    """The ports.RecordingSource over BIZTEL's API.

    `base_url` is the server's origin, `https://{FQDN}:8000`. `connection` is a Connection to it with the time-outs of
    the deployment. Without one, the client makes a Connection whose downloads end after `deadline_s`, however slowly
    the bytes come, and after `silence_s` without any. `token` is called before each request. With `require_length` the
    end of a file is not certain if only the closing of the connection shows it: the file might have been cut. A
    download ends once it is larger than `max_bytes`.
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
        max_bytes: int = 2**30,
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
        self._max_bytes = max_bytes

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
            DownloadTooLargeError: the answer announces more bytes than this deployment takes.
            DownloadFailedError: the transfer failed, or the answer is empty.
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
            first = _read_first(answer, max_bytes=self._max_bytes)
            default_name = f"{recording_id}_{content_type}.mp3"
            yield BiztelDownload(
                answer=answer,
                first=first,
                file_name=find_file_name(answer.headers.get("content-disposition", ""), default=default_name),
                max_bytes=self._max_bytes,
                end_is_certain=answer.delimited or not self._require_length,
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _read_first(answer: StreamedAnswer, *, max_bytes: int) -> bytes:
    """Read the first bytes of a file."""
    if answer.status != 200:
        raise build_error(answer.status, answer.headers, _read_error_body(answer), operation=OPERATION)
    if answer.length is not None and answer.length > max_bytes:
        raise _build_too_large()
    first = _read(answer, CHUNK_BYTES)
    if not first:
        raise _build_failure(f"{PROVIDER}'s answer is empty", status=answer.status)
    return first


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


def _build_too_large() -> DownloadTooLargeError:
    return DownloadTooLargeError(
        f"{PROVIDER} sends more bytes than one recording may have",
        provider=PROVIDER,
        operation=OPERATION,
        http_status=200,
    )

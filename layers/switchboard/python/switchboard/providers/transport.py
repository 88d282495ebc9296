"""One connection to one configured origin that always knows whether a byte of a request may have left.

A small answer is exchanged whole. A large answer is streamed, and is whole only after its end has been read.

Every failure before the first byte is a NotSentError. From the first byte on, everything short of a whole answer is an
OutcomeUnknownError. Nothing is retried or redirected, and neither proxies nor credentials are taken from the
environment. Errors never quote a host, a path, a header or a body: a query string may hold a number and a text.
"""

from __future__ import annotations

import http.client
import io
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, cast
from urllib.parse import urlsplit

import urllib3.connection
import urllib3.exceptions

from switchboard.domain.errors import ConfigurationError, NotSentError, OutcomeUnknownError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from urllib3.response import HTTPResponse

FAILURES: Final = (
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,  # time-outs, resets, TLS, name resolution
    ValueError,  # an unreadable length or status, a host name that cannot be encoded
)
"""The errors of connecting, writing and reading that are the fault of the network or of the other side."""

_TARGET: Final = re.compile(r"/[\x21-\x7e]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_OUR_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})

# urllib3's warnings about broken answers print the whole URL, which may hold a number and a text.
logging.getLogger("urllib3.connection").addFilter(lambda _: False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The scheme, host and port of a connection, read from configuration and from nowhere else."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return f"{self.scheme}://{host}" + ("" if self.port == default else f":{self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint from configuration, split into its origin and its path."""

    origin: Origin
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, unchanged. `headers` have lower-case names; `body` is never decoded or decompressed.

    `delimited` is False if only the closing of the connection ended the answer: such an answer may have lost its end.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    delimited: bool


class StreamedAnswer:
    """The head of an answer, and its body piece by piece. `headers` have lower-case names.

    `length` is the announced length in bytes, or None. `delimited` is False if only the closing of the connection will
    end the answer: it stays unknown whether such an answer is whole.
    """

    def __init__(
        self, *, response: HTTPResponse, wire: _Wire, build_error: Callable[[str], OutcomeUnknownError]
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self.length = response.length_remaining
        self.delimited = response.chunked or self.length is not None
        self._response = response
        self._wire = wire
        self._build_error = build_error

    def read(self, limit: int) -> bytes:
        """Read the next bytes of the body, at most `limit` (> 0), neither decoded nor decompressed.

        The body is whole once this has returned no bytes.

        Raises:
            OutcomeUnknownError: the body ended early, fell silent, passed the deadline, or is longer than announced.
        """
        try:
            data = self._response.read(limit, decode_content=False)
            problem = None if data else self._find_problem()
        except FAILURES as error:
            data, problem = b"", type(error).__name__
        if problem:
            raise self._build_error(problem)
        return data

    def _find_problem(self) -> str | None:
        if self._response.chunked and self._wire.incoming.ended:
            return "its last chunk is missing"
        if self._wire.incoming.surplus or self._wire.has_more():
            return "it is longer than announced"
        return None


def parse_endpoint(url: str, *, allow_plain_http: bool = False) -> Endpoint:
    """Parse an endpoint from configuration. A bare `?` at its end is dropped.

    Raises:
        ConfigurationError: the scheme is not https (or http, if allowed), there is user info, a query or a fragment,
            or the text is not a URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    path = parts.path or "/"
    if not host or parts.query or parts.fragment or "@" in parts.netloc or not _TARGET.fullmatch(path):
        raise ConfigurationError("a provider's endpoint must consist of scheme, host, port and path only")
    if parts.scheme == "https":
        return Endpoint(origin=Origin(scheme="https", host=host, port=port or 443), path=path)
    if parts.scheme == "http" and allow_plain_http:
        return Endpoint(origin=Origin(scheme="http", host=host, port=port or 80), path=path)
    raise ConfigurationError("a provider's endpoint must be https, unless plain http is allowed explicitly")


class Connection:
    """A connection to one provider's origin, opened ahead of time and used by one thread at a time.

    `connect_timeout_s` bounds each attempt to connect and the TLS handshake; name resolution has the resolver's own
    limit. `deadline_s` bounds an exchange from its first byte to the last byte of the answer, however slowly the bytes
    come; `read_timeout_s` bounds each silence within it. A connection that was idle for more than `idle_limit_s` is not
    used again. `tls_context` replaces the system's certificate authorities.

    Raises:
        ConfigurationError: the origin has a path, or is plain http that was not allowed.
    """

    def __init__(
        self,
        *,
        origin: Origin | str,
        provider: str,
        allow_plain_http: bool = False,
        connect_timeout_s: float = 3.0,
        read_timeout_s: float = 10.0,
        deadline_s: float = 10.0,
        idle_limit_s: float = 1.0,
        max_body_bytes: int = 64 * 1024,
        tls_context: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        endpoint = parse_endpoint(str(origin), allow_plain_http=allow_plain_http)
        if endpoint.path != "/":
            raise ConfigurationError("a connection's origin must have no path")
        self.origin = endpoint.origin
        self._provider = provider
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._deadline_s = deadline_s
        self._idle_limit_s = idle_limit_s
        self._max_body_bytes = max_body_bytes
        self._tls_context = tls_context
        self._monotonic = monotonic
        self._link: urllib3.connection.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._idle_since = 0.0

    def open(self) -> None:
        """Keep a live connection that was idle only shortly, or else open a new one.

        The connection stays usable for another half of `idle_limit_s`.

        Raises:
            NotSentError: the origin cannot be reached.
        """
        self._connect(idle_s=self._idle_limit_s / 2, operation="open")

    def _connect(self, *, idle_s: float, operation: str) -> None:
        if self._socket and self._monotonic() - self._idle_since <= idle_s and _is_quiet(self._socket):
            return
        self.close()
        link = self._build_link()
        try:
            link.connect()
        except FAILURES as error:
            reason = type(error).__name__
            link.close()
        else:
            self._link, self._socket = link, cast("socket.socket", link.sock)
            self._idle_since = self._monotonic()
            return
        raise NotSentError(
            f"{self._provider} could not be reached ({reason})", provider=self._provider, operation=operation
        )

    def exchange(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        operation: str,
    ) -> Answer:
        """Send one request and read one whole answer, whatever its status (a redirect is an answer too).

        `target` is the encoded path and query. The connection is opened first if `open` was not called.

        Raises:
            ValueError: the request cannot be written safely.
            NotSentError: no byte of the request has left.
            OutcomeUnknownError: bytes have left, and no whole answer came.
        """
        _check_request(method, target, headers)
        self._connect(idle_s=self._idle_limit_s, operation=operation)
        assert self._link
        assert self._socket
        wire = _Wire(self._socket, self._seconds_left(self._monotonic() + self._deadline_s))
        reusable = False
        try:
            self._link.sock = cast("socket.socket", wire)
            self._link.request(method, target, body=body, headers=headers, preload_content=False, decode_content=False)
            response = self._link.getresponse()
            # The standard library takes the end of the stream for the end of the headers. This class does not.
            cut_in_headers = wire.incoming.ended
            # If the answer closes the connection, the standard library has already dropped it.
            reusable = self._link.sock is not None
            answer = self._read(response, wire)
            problem = self._find_problem(answer, wire, cut_in_headers=cut_in_headers, chunked=response.chunked)
        except FAILURES as error:
            problem = type(error).__name__
        except BaseException:
            self.close()
            raise
        if problem or not reusable:
            self.close()
        else:
            self._link.sock = self._socket
            self._idle_since = self._monotonic()
        if problem:
            raise self._build_error(problem, operation)
        return answer

    @contextmanager
    def stream(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        operation: str,
        deadline_s: float | None = None,
    ) -> Iterator[StreamedAnswer]:
        """Send one request without a body and read its answer piece by piece, whatever its status and size.

        `deadline_s` replaces the connection's own. It runs from the first byte of the request, also while the reader is
        busy between two pieces. Errors are those of `exchange`. The connection is closed on leaving.
        """
        _check_request(method, target, headers)
        self._connect(idle_s=self._idle_limit_s, operation=operation)
        assert self._link
        assert self._socket
        budget_s = self._deadline_s if deadline_s is None else deadline_s
        wire = _Wire(self._socket, self._seconds_left(self._monotonic() + budget_s))
        response: HTTPResponse | None = None
        problem = "no answer"
        try:
            try:
                self._link.sock = cast("socket.socket", wire)
                self._link.request(method, target, headers=headers, preload_content=False, decode_content=False)
                response = self._link.getresponse()
            except FAILURES as error:
                problem = type(error).__name__
            if response is None:
                raise self._build_error(problem, operation)
            if wire.incoming.ended:
                raise self._build_error("it ended within the headers", operation)
            if response.status < 200:
                raise self._build_error("it was provisional", operation)
            yield StreamedAnswer(
                response=response, wire=wire, build_error=lambda problem: self._build_error(problem, operation)
            )
        finally:
            if response is not None:
                with suppress(*FAILURES):
                    response.close()
            self.close()

    def _build_error(self, problem: str, operation: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"{self._provider}'s answer did not come in whole ({problem})",
            provider=self._provider,
            operation=operation,
        )

    def close(self) -> None:
        """Close the connection, if there is one."""
        live, self._socket, self._link = self._socket, None, None
        if live:
            live.close()

    def _build_link(self) -> urllib3.connection.HTTPConnection:
        host, port, timeout = self.origin.host, self.origin.port, self._connect_timeout_s
        if self.origin.scheme == "http":
            link = urllib3.connection.HTTPConnection(host, port, timeout=timeout)
        else:
            self._tls_context = self._tls_context or ssl.create_default_context()
            link = urllib3.connection.HTTPSConnection(host, port, timeout=timeout, ssl_context=self._tls_context)
        link.auto_open = 0  # urllib3 must not open a second connection by itself
        return link

    def _seconds_left(self, deadline: float) -> Callable[[], float]:
        def seconds_left() -> float:
            left = deadline - self._monotonic()
            if left <= 0:
                raise TimeoutError
            return min(left, self._read_timeout_s)

        return seconds_left

    def _read(self, response: HTTPResponse, wire: _Wire) -> Answer:
        body = b""
        while len(body) <= self._max_body_bytes:
            more = response.read(self._max_body_bytes + 1 - len(body), decode_content=False)
            if not more:
                break
            body += more
        response.close()
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
            delimited=not wire.incoming.ended,
        )

    def _find_problem(self, answer: Answer, wire: _Wire, *, cut_in_headers: bool, chunked: bool) -> str | None:
        """Return why this is not a whole answer, or None if it is."""
        if cut_in_headers:
            return "it ended within the headers"
        if len(answer.body) > self._max_body_bytes:
            return f"its body is longer than {self._max_body_bytes} bytes"
        if answer.status < 200:
            return "it was provisional"
        if chunked and not answer.delimited:
            return "its last chunk is missing"
        if wire.incoming.surplus:
            return "it is longer than announced"
        return None


class _Wire:
    """A connected socket for `http.client` during one exchange.

    It ends with the deadline, and `http.client` cannot close it.
    """

    def __init__(self, connected: socket.socket, seconds_left: Callable[[], float]) -> None:
        self._connected = connected
        self._seconds_left = seconds_left
        self.incoming = _Incoming(connected, seconds_left)

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._seconds_left())
        self._connected.sendall(data)

    def has_more(self) -> bool:
        """Tell, without waiting, whether bytes have come in after the end of the answer."""
        try:
            self._connected.settimeout(0)
            return bool(self._connected.recv(1))
        except OSError:  # nothing has come in, or the connection is gone
            return False

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _AnswerReader(self.incoming)

    def settimeout(self, _timeout_s: float | None) -> None:
        """Do nothing: the deadline decides."""

    def close(self) -> None:
        """Do nothing: the exchange closes the socket after it has read the answer."""


class _Incoming(io.RawIOBase):
    """The incoming bytes until the deadline.

    `ended` says that the other side closed. `finished` says that the answer is complete. `surplus` says that more bytes
    came in after that.
    """

    def __init__(self, connected: socket.socket, seconds_left: Callable[[], float]) -> None:
        self._connected = connected
        self._seconds_left = seconds_left
        self.ended = False
        self.finished = False
        self.surplus = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self.finished:
            return None
        self._connected.settimeout(self._seconds_left())
        count = self._connected.recv_into(buffer)
        self.ended = self.ended or not count
        return count


class _AnswerReader(io.BufferedReader):
    """A reader that notes, when it is closed and without waiting, whether bytes are left over."""

    def __init__(self, incoming: _Incoming) -> None:
        super().__init__(incoming)
        self._incoming = incoming

    def close(self) -> None:
        if not self.closed:
            self._incoming.finished = True
            self._incoming.surplus = bool(self.peek(1))
        super().close()


def _is_quiet(connected: socket.socket) -> bool:
    """Tell whether the socket is connected and has no bytes to read.

    A TLS 1.3 session ticket is no such byte, which only a read can tell.
    """
    try:
        connected.settimeout(0)
        connected.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


def _check_request(method: str, target: str, headers: Mapping[str, str]) -> None:
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise ValueError("a request line must consist of a token and an encoded path")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError("a header's name or value holds a forbidden character")
        if name.lower() in _OUR_HEADERS:
            raise ValueError("the transport writes this header itself: leave it out")

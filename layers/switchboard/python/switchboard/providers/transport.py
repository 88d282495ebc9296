"""One connection to one configured origin that always knows whether a byte of a request can have left.

A small answer is exchanged whole; a large one is streamed, and is whole only when its end has been read.

Before the first byte every failure is a NotSentError; from the first byte on, everything short of a whole answer
is an OutcomeUnknownError. Nothing is retried or redirected, and neither proxies nor credentials are taken from the
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
"""What connecting, writing and reading raise when the network or the other side is at fault."""

_TARGET: Final = re.compile(r"/[\x21-\x7e]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_OUR_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})

# urllib3's warnings about broken answers print the whole URL, and that holds what must not reach a log.
logging.getLogger("urllib3.connection").addFilter(lambda _: False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a connection goes, read from configuration and from nowhere else."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return f"{self.scheme}://{host}" + ("" if self.port == default else f":{self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, as it came. `headers` have lower-case names; `body` is never decoded or decompressed.

    `delimited` is False where only the closing of the connection ended it: such an answer may have lost its end.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    delimited: bool


class StreamedAnswer:
    """The head of an answer, and its body as it comes in. `headers` have lower-case names.

    `length` is what the answer announces, in bytes, or None. `delimited` is False where only the closing of the
    connection will end it: of such an answer nobody can say that it is whole.
    """

    def __init__(self, *, response: HTTPResponse, wire: _Wire, unheard: Callable[[str], OutcomeUnknownError]) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self.length = response.length_remaining
        self.delimited = response.chunked or self.length is not None
        self._response = response
        self._wire = wire
        self._unheard = unheard

    def read(self, limit: int) -> bytes:
        """The next bytes of the body, at most `limit` (> 0), neither decoded nor decompressed; empty at its end.

        Raises OutcomeUnknownError where it ends early, falls silent, goes past the deadline, or is followed by more
        than was announced: until the empty answer, nothing is known to be whole.
        """
        try:
            data = self._response.read(limit, decode_content=False)
            problem = None if data else self._problem()
        except FAILURES as error:
            data, problem = b"", type(error).__name__
        if problem:
            raise self._unheard(problem)
        return data

    def _problem(self) -> str | None:
        if self._response.chunked and self._wire.incoming.ended:
            return "its last chunk is missing"
        if self._wire.incoming.surplus or self._wire.has_more():
            return "more came than it announced"
        return None


def split_endpoint(url: str, *, allow_plain_http: bool = False) -> tuple[Origin, str]:
    """An endpoint from configuration as (origin, path). A bare `?` at its end is dropped.

    Raises ConfigurationError for another scheme than https (or http, where allowed), for user info, a query or a
    fragment, and for anything that is not a URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    path = parts.path or "/"
    if not host or parts.query or parts.fragment or "@" in parts.netloc or not _TARGET.fullmatch(path):
        raise ConfigurationError("a provider's endpoint is scheme, host, port and path, and nothing else")
    if parts.scheme == "https":
        return Origin(scheme="https", host=host, port=port or 443), path
    if parts.scheme == "http" and allow_plain_http:
        return Origin(scheme="http", host=host, port=port or 80), path
    raise ConfigurationError("a provider is reached by https; plain http needs to be allowed explicitly")


class Connection:
    """A connection to one provider's origin, opened ahead of time and used by one thread at a time.

    `connect_timeout_s` bounds each attempt to connect and the TLS handshake; name resolution has the resolver's own
    limit. `deadline_s` bounds an exchange from its first byte to the last of the answer, however slowly bytes
    drip; `read_timeout_s` bounds each silence within it. A connection idle for more than `idle_limit_s` is not
    used again. `tls_context` replaces the system's certificate authorities. Raises ConfigurationError for plain
    http that was not allowed.
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
        self.origin, path = split_endpoint(str(origin), allow_plain_http=allow_plain_http)
        if path != "/":
            raise ConfigurationError("an origin has no path")
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
        """Have a connection that can be used for another half of `idle_limit_s`: a live one that was idle only shortly,
        or else a new one. Raises NotSentError."""
        self._connect(idle_s=self._idle_limit_s / 2, operation="open")

    def _connect(self, *, idle_s: float, operation: str) -> None:
        if self._socket and self._monotonic() - self._idle_since <= idle_s and _is_quiet(self._socket):
            return
        self.close()
        link = self._new_link()
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

        `target` is the encoded path and query. Opens first where `open` was not called. Raises ValueError for a
        request that could not be written safely, NotSentError while nothing has left, else OutcomeUnknownError.
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
            # The standard library takes the end of the stream for the end of the headers; we don't.
            cut_in_headers = wire.incoming.ended
            # Where the answer closes the connection, the standard library has already let go of it.
            reusable = self._link.sock is not None
            answer = self._read(response, wire)
            problem = self._problem(answer, wire, cut_in_headers=cut_in_headers, chunked=response.chunked)
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
            raise self._unheard(problem, operation)
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

        `deadline_s` replaces the connection's own: it runs from the first byte of the request, also while whoever
        reads does something else between two pieces. Raises as `exchange` does; the connection is closed on leaving.
        """
        _check_request(method, target, headers)
        self._connect(idle_s=self._idle_limit_s, operation=operation)
        assert self._link
        assert self._socket
        allowed_s = self._deadline_s if deadline_s is None else deadline_s
        wire = _Wire(self._socket, self._seconds_left(self._monotonic() + allowed_s))
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
                raise self._unheard(problem, operation)
            if wire.incoming.ended:
                raise self._unheard("it ended within the headers", operation)
            if response.status < 200:
                raise self._unheard("it was provisional", operation)
            yield StreamedAnswer(
                response=response, wire=wire, unheard=lambda problem: self._unheard(problem, operation)
            )
        finally:
            if response is not None:
                with suppress(*FAILURES):
                    response.close()
            self.close()

    def _unheard(self, problem: str, operation: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"{self._provider}'s answer was not heard in full ({problem})",
            provider=self._provider,
            operation=operation,
        )

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        live, self._socket, self._link = self._socket, None, None
        if live:
            live.close()

    def _new_link(self) -> urllib3.connection.HTTPConnection:
        host, port, timeout = self.origin.host, self.origin.port, self._connect_timeout_s
        if self.origin.scheme == "http":
            link = urllib3.connection.HTTPConnection(host, port, timeout=timeout)
        else:
            self._tls_context = self._tls_context or ssl.create_default_context()
            link = urllib3.connection.HTTPSConnection(host, port, timeout=timeout, ssl_context=self._tls_context)
        link.auto_open = 0  # never a second connection behind our back
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

    def _problem(self, answer: Answer, wire: _Wire, *, cut_in_headers: bool, chunked: bool) -> str | None:
        """Why this is not a whole answer, or None."""
        if cut_in_headers:
            return "it ended within the headers"
        if len(answer.body) > self._max_body_bytes:
            return f"its body is longer than {self._max_body_bytes} bytes"
        if answer.status < 200:
            return "it was provisional"
        if chunked and not answer.delimited:
            return "its last chunk is missing"
        if wire.incoming.surplus:
            return "more came than it announced"
        return None


class _Wire:
    """A connected socket as `http.client` sees it during one exchange: it ends with the deadline, and is not its
    to close."""

    def __init__(self, connected: socket.socket, seconds_left: Callable[[], float]) -> None:
        self._connected = connected
        self._seconds_left = seconds_left
        self.incoming = _Incoming(connected, seconds_left)

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._seconds_left())
        self._connected.sendall(data)

    def has_more(self) -> bool:
        """Whether something has come in that nobody asked for. Waits for nothing."""
        try:
            self._connected.settimeout(0)
            return bool(self._connected.recv(1))
        except OSError:  # nothing there, or no connection any more
            return False

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _AnswerReader(self.incoming)

    def settimeout(self, _timeout_s: float | None) -> None:
        """The deadline decides."""

    def close(self) -> None:
        """The exchange decides, when the answer has been read."""


class _Incoming(io.RawIOBase):
    """What comes in until the deadline. `ended`: the other side closed. `surplus`: more came than was asked for."""

    def __init__(self, connected: socket.socket, seconds_left: Callable[[], float]) -> None:
        self._connected = connected
        self._seconds_left = seconds_left
        self.ended = False
        self.enough = False
        self.surplus = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self.enough:
            return None
        self._connected.settimeout(self._seconds_left())
        count = self._connected.recv_into(buffer)
        self.ended = self.ended or not count
        return count


class _AnswerReader(io.BufferedReader):
    """Notes on closing whether bytes were left over, without waiting for any."""

    def __init__(self, incoming: _Incoming) -> None:
        super().__init__(incoming)
        self._incoming = incoming

    def close(self) -> None:
        if not self.closed:
            self._incoming.enough = True
            self._incoming.surplus = bool(self.peek(1))
        super().close()


def _is_quiet(connected: socket.socket) -> bool:
    """Still connected, and nothing has come in unasked. A TLS 1.3 session ticket is no such thing, hence the read."""
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
        raise ValueError("a request line takes a token and an encoded path")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError("a header's name or value holds what no header may hold")
        if name.lower() in _OUR_HEADERS:
            raise ValueError("the transport writes this header itself")

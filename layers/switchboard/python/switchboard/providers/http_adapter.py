"""Speaks HTTP over one connection, as a transport adapter for `requests`.

The connection is opened ahead of the request. The adapter gives a request and its answer one deadline, and knows
whether a byte of the request can have left. It retries nothing, uses no proxy, and leaves the body to be read raw.
"""

from __future__ import annotations

import http.client
import io
import logging
import re
import socket
import ssl
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import requests
import urllib3.connection
import urllib3.exceptions
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FAILURES: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,  # time-outs, resets, TLS, name resolution
    ValueError,  # an unreadable length or status, a host name that cannot be encoded
)
"""The exceptions of connecting, writing and reading if the network or the other side is at fault."""

# 101 is none: the bytes after it are no HTTP.
_PROVISIONAL: Final = re.compile(rb"HTTP/\S+\s+1(?!01)\d\d\s")
_MAX_PROVISIONAL_LINES: Final = 100

# urllib3's warnings about broken answers print the whole URL, and a log must not hold it.
logging.getLogger("urllib3.connection").addFilter(lambda _: False)


class PlainSession(requests.Session):
    """A session that adds nothing to a request and stores nothing of an answer. An adapter has to be mounted.

    It has no default headers, accepts no cookie, and takes neither proxies nor credentials from the environment.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.clear()
        self.cookies.set_policy(DefaultCookiePolicy(netscape=False, rfc2965=False, allowed_domains=()))
        self.adapters.clear()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None, whatever the answer.

        Even with `allow_redirects=False`, requests would read and decompress the whole body of a redirect.
        """


class OneConnectionAdapter(HTTPAdapter):
    """A transport adapter with one connection to one origin, for one request at a time.

    Each request ends with `keep` or `close`. `exchange` is the socket of the last request, or None after `close`.
    `server_name` is the name that TLS asks for and checks if `host` is one of its addresses.
    """

    def __init__(
        self,
        *,
        scheme: Literal["http", "https"],
        host: str,
        port: int,
        connect_timeout_s: float,
        read_timeout_s: float,
        idle_limit_s: float,
        tls_context: ssl.SSLContext | None,
        monotonic: Callable[[], float],
        server_name: str | None = None,
    ) -> None:
        super().__init__()
        self._scheme = scheme
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._idle_limit_s = idle_limit_s
        self._tls_context = tls_context
        self._server_name = server_name
        self._monotonic = monotonic
        self._connection: urllib3.connection.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._idle_since = 0.0
        self.exchange: ExchangeSocket | None = None

    def open(self, *, idle_s: float) -> None:
        """Ensure a live connection that was idle for at most `idle_s`, or else a new one.

        Raises:
            FAILURES: there is no connection.
        """
        if self._socket and self._monotonic() - self._idle_since <= idle_s and _is_quiet(self._socket):
            return
        self.close()
        connection = self._new_connection()
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        self._connection, self._socket = connection, cast("socket.socket", connection.sock)
        self._idle_since = self._monotonic()

    def send(self, request: requests.PreparedRequest, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        """Send one request and read the head of its answer. A connection is opened first if none is usable.

        `timeout` is the deadline of the whole exchange in seconds. The session's other settings do not matter here.

        Raises:
            FAILURES: there is no whole head of a final answer. `exchange` says whether a byte can have left.
        """
        self.open(idle_s=self._idle_limit_s)
        assert self._connection
        assert self._socket
        assert request.method
        assert request.url
        self.exchange = ExchangeSocket(self._socket, self._seconds_left(self._monotonic() + timeout))
        self._connection.sock = cast("socket.socket", self.exchange)
        self._connection.request(
            request.method,
            "/" + request.url.split("/", 3)[3],
            body=request.body,
            headers=request.headers,
            preload_content=False,
            decode_content=False,
        )
        response = self._connection.getresponse()
        # The standard library takes the end of the stream for the end of the headers; we don't.
        if self.exchange.incoming.ended:
            raise http.client.IncompleteRead(b"")
        if response.status < 200:
            raise http.client.UnknownProtocol(str(response.status))
        return self.build_response(request, response)

    def keep(self) -> None:
        """Keep the connection for another request, unless the answer closes it."""
        # http.client has dropped its socket if the answer closes the connection.
        if self._connection is None or self._connection.sock is None:
            self.close()
            return
        self._connection.sock = self._socket
        self._idle_since = self._monotonic()

    def close(self) -> None:
        """Close the connection, if there is one."""
        connected, self._socket, self._connection, self.exchange = self._socket, None, None, None
        if connected:
            connected.close()

    def _new_connection(self) -> urllib3.connection.HTTPConnection:
        host, port, timeout = self._host, self._port, self._connect_timeout_s
        if self._scheme == "http":
            connection = urllib3.connection.HTTPConnection(host, port, timeout=timeout)
        else:
            self._tls_context = self._tls_context or ssl.create_default_context()
            connection = urllib3.connection.HTTPSConnection(
                host,
                port,
                timeout=timeout,
                ssl_context=self._tls_context,
                server_hostname=self._server_name,
                assert_hostname=self._server_name,
            )
        connection.auto_open = 0  # never a second connection behind our back
        return connection

    def _seconds_left(self, deadline: float) -> Callable[[], float]:
        def seconds_left() -> float:
            left = deadline - self._monotonic()
            if left <= 0:
                raise TimeoutError
            return min(left, self._read_timeout_s)

        return seconds_left


class ExchangeSocket:
    """A connected socket during one exchange, as `http.client` sees it.

    Its reads and writes end with the deadline, and `http.client` cannot close it. `started` is True once a byte of
    the request can have left.
    """

    def __init__(self, connected: socket.socket, seconds_left: Callable[[], float]) -> None:
        self._connected = connected
        self._seconds_left = seconds_left
        self.started = False
        self.incoming = IncomingBytes(connected, seconds_left)

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._seconds_left())
        self.started = True
        self._connected.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _AnswerReader(self.incoming)

    def settimeout(self, _timeout_s: float | None) -> None:
        """Ignore the timeout: the deadline decides."""

    def close(self) -> None:
        """Leave the socket open: the adapter closes it, after the answer has been read."""


class IncomingBytes(io.RawIOBase):
    """The bytes that come in until the deadline.

    `ended` is True once the other side has closed the stream. `surplus` is True if bytes were left over when the
    answer was closed. `closing` makes reads return at once.
    """

    def __init__(self, connected: socket.socket, seconds_left: Callable[[], float]) -> None:
        self._connected = connected
        self._seconds_left = seconds_left
        self.ended = False
        self.closing = False
        self.surplus = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self.closing:
            return None
        self._connected.settimeout(self._seconds_left())
        count = self._connected.recv_into(buffer)
        self.ended = self.ended or not count
        return count

    def has_more(self) -> bool:
        """Return whether another byte has come in. Waits for nothing."""
        try:
            self._connected.settimeout(0)
            return bool(self._connected.recv(1))
        except OSError:  # no byte, or no connection any more
            return False


class _AnswerReader(io.BufferedReader):
    """An answer as `http.client` reads it, without the provisional answers (1xx) before it.

    `http.client` itself skips only 100, and any number of them. On closing, the reader notes whether bytes were left
    over, without waiting for any.
    """

    def __init__(self, incoming: IncomingBytes) -> None:
        super().__init__(incoming)
        self._incoming = incoming
        self._is_final = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        count = 0
        while not self._is_final and _PROVISIONAL.match(line):
            while line not in {b"\r\n", b"\n", b""}:
                count += 1
                if count > _MAX_PROVISIONAL_LINES:
                    raise TooManyProvisionalAnswersError
                line = super().readline(size)
            line = super().readline(size)
        self._is_final = True
        return line

    def close(self) -> None:
        if not self.closed:
            self._incoming.closing = True
            self._incoming.surplus = bool(self.peek(1))
        super().close()


class TooManyProvisionalAnswersError(http.client.HTTPException):
    """More provisional answers before the final one than any server has a reason to send."""


def _is_quiet(connected: socket.socket) -> bool:
    """Return whether the connection is alive and no data has come in unasked.

    A TLS 1.3 session ticket is no data. Only a read can tell it from data.
    """
    try:
        connected.settimeout(0)
        connected.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False

"""Sends requests to one configured origin, and knows whether a byte of a request can have left.

Requests go through a `requests.Session` with a transport adapter of our own. A small answer is read at once, a large
one piece by piece. A streamed answer is whole only if its end has been read.

Before the first byte of a request every failure is a NotSentError. From the first byte on, everything but a whole
answer is an OutcomeUnknownError. Nothing is retried or redirected. Cookies, and the proxies and credentials of the
environment, are ignored. Errors never quote a host, a path, a header or a body: a query can hold a number and a text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import requests

from switchboard.domain.errors import ConfigurationError, NotSentError, OutcomeUnknownError
from switchboard.providers.http_adapter import FAILURES, IncomingBytes, OneConnectionAdapter, PlainSession

if TYPE_CHECKING:
    import ssl

    from urllib3.response import HTTPResponse

_TARGET: Final = re.compile(r"/[\x21-\x7e]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"(?:[\x21-\x7e][\x20-\x7e]*)?")
_OUR_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The destination of a connection. It is read from configuration and from nowhere else."""

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
    """A whole answer. `headers` have lower-case names; `body` is neither decoded nor decompressed.

    `delimited` is False if only the closing of the connection ended the answer: its end may be missing.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    delimited: bool


class StreamedAnswer:
    """The head of an answer, and its body piece by piece. `headers` have lower-case names.

    `length` is the announced length in bytes, or None. `delimited` is False if only the closing of the connection
    will end the answer: such an answer cannot be proved whole.
    """

    def __init__(
        self, *, response: HTTPResponse, incoming: IncomingBytes, outcome_unknown: Callable[[str], Exception]
    ) -> None:
        self.status = response.status
        self.headers = _lower_case_headers(response)
        self.length = response.length_remaining
        self.delimited = response.chunked or self.length is not None
        self._response = response
        self._incoming = incoming
        self._outcome_unknown = outcome_unknown

    def read(self, limit: int) -> bytes:
        """Return the next bytes of the body, at most `limit` (> 0), neither decoded nor decompressed.

        The result is empty at the end of the body. Until then nothing proves that the answer is whole.

        Raises:
            OutcomeUnknownError: the answer ends early, falls silent, goes past the deadline, or more bytes follow
                than it announced.
        """
        try:
            # One read of the socket at most: what came before a failure is never lost with it.
            data = self._response.read1(limit, decode_content=False)
            problem = None if data else self._find_problem()
        except FAILURES as error:
            data, problem = b"", type(error).__name__
        if problem:
            raise self._outcome_unknown(problem)
        return data

    def _find_problem(self) -> str | None:
        if self._response.chunked and self._incoming.ended:
            return "its last chunk is missing"
        if self._incoming.surplus or self._incoming.has_more():
            return "more came than it announced"
        return None


def parse_endpoint(url: str, *, allow_plain_http: bool = False) -> Endpoint:
    """Parse an endpoint from configuration. A bare `?` at its end is dropped.

    Raises:
        ConfigurationError: the text is no URL, its scheme is not https (or http, if allowed), or it holds user info,
            a query or a fragment.
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
        return Endpoint(origin=Origin(scheme="https", host=host, port=port or 443), path=path)
    if parts.scheme == "http" and allow_plain_http:
        return Endpoint(origin=Origin(scheme="http", host=host, port=port or 80), path=path)
    raise ConfigurationError("a provider is reached by https; plain http needs to be allowed explicitly")


class Connection:
    """A connection to one provider's origin, opened ahead of time and used by one thread at a time.

    `connect_timeout_s` bounds each attempt to connect and the TLS handshake; name resolution has the resolver's own
    limit. `deadline_s` bounds an exchange from its first byte to the last of the answer, however slowly bytes
    drip; `read_timeout_s` bounds each silence within it. A connection idle for more than `idle_limit_s` is not
    used again. `tls_context` replaces the system's certificate authorities.

    Raises:
        ConfigurationError: the origin has a path, or is plain http without `allow_plain_http`.
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
            raise ConfigurationError("an origin has no path")
        self.origin = endpoint.origin
        self._provider = provider
        self._deadline_s = deadline_s
        self._idle_limit_s = idle_limit_s
        self._max_body_bytes = max_body_bytes
        self._adapter = OneConnectionAdapter(
            scheme=self.origin.scheme,
            host=self.origin.host,
            port=self.origin.port,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            idle_limit_s=idle_limit_s,
            tls_context=tls_context,
            monotonic=monotonic,
        )
        self._session = PlainSession()
        self._session.mount(f"{self.origin}/", self._adapter)

    def open(self) -> None:
        """Ensure a connection that stays usable for another half of `idle_limit_s`.

        A live connection is kept if it was idle for at most the other half.

        Raises:
            NotSentError: the provider could not be reached.
        """
        try:
            self._adapter.open(idle_s=self._idle_limit_s / 2)
        except FAILURES as error:
            problem = type(error).__name__
        else:
            return
        raise self._not_sent(problem, "open")

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

        `target` is the encoded path and query. A connection is opened first if none is usable.

        Raises:
            ValueError: the request cannot be written safely.
            NotSentError: no byte of the request has left.
            OutcomeUnknownError: a byte can have left, and no whole answer came.
        """
        response, incoming = self._send(method, target, headers, body, operation=operation, deadline_s=self._deadline_s)
        try:
            answer = self._read(response, incoming)
            problem = self._find_problem(answer, incoming, chunked=response.chunked)
        except FAILURES as error:
            problem = type(error).__name__
        except BaseException:
            self.close()
            raise
        if problem:
            self.close()
            raise self._outcome_unknown(problem, operation)
        self._adapter.keep()
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
        """Send one request without a body and yield its answer, whatever its status and size.

        `deadline_s` replaces the connection's own. It runs from the first byte of the request on, also while the
        caller does something else between two pieces. The connection is closed at the end.

        Raises:
            ValueError: the request cannot be written safely.
            NotSentError: no byte of the request has left.
            OutcomeUnknownError: a byte can have left, and no whole head of an answer came.
        """
        deadline_s = self._deadline_s if deadline_s is None else deadline_s
        response, incoming = self._send(method, target, headers, None, operation=operation, deadline_s=deadline_s)
        try:
            yield StreamedAnswer(
                response=response,
                incoming=incoming,
                outcome_unknown=lambda problem: self._outcome_unknown(problem, operation),
            )
        finally:
            with suppress(*FAILURES):
                response.close()
            self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._session.close()

    def _send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        operation: str,
        deadline_s: float,
    ) -> tuple[HTTPResponse, IncomingBytes]:
        """Send one request and read the head of its answer."""
        _check_request(method, target, headers)
        try:
            request = requests.Request(method, str(self.origin), headers=headers, data=body)
            prepared = self._session.prepare_request(request)
            prepared.url = f"{self.origin}{target}"  # unchanged: requests would normalise it
            answer = self._session.send(prepared, timeout=deadline_s, stream=True, allow_redirects=False)
        except FAILURES as error:
            problem = type(error).__name__
        except BaseException:
            self.close()
            raise
        else:
            assert self._adapter.exchange
            return answer.raw, self._adapter.exchange.incoming
        exchange = self._adapter.exchange
        self.close()
        if exchange and exchange.started:
            raise self._outcome_unknown(problem, operation)
        raise self._not_sent(problem, operation)

    def _read(self, response: HTTPResponse, incoming: IncomingBytes) -> Answer:
        body = b""
        while len(body) <= self._max_body_bytes:
            more = response.read(self._max_body_bytes + 1 - len(body), decode_content=False)
            if not more:
                break
            body += more
        response.close()
        headers = _lower_case_headers(response)
        return Answer(status=response.status, headers=headers, body=body, delimited=not incoming.ended)

    def _find_problem(self, answer: Answer, incoming: IncomingBytes, *, chunked: bool) -> str | None:
        """Return the reason why this is no whole answer, or None."""
        if len(answer.body) > self._max_body_bytes:
            return f"its body is longer than {self._max_body_bytes} bytes"
        if chunked and not answer.delimited:
            return "its last chunk is missing"
        if incoming.surplus:
            return "more came than it announced"
        return None

    def _not_sent(self, problem: str, operation: str) -> NotSentError:
        return NotSentError(
            f"nothing was sent to {self._provider} ({problem})", provider=self._provider, operation=operation
        )

    def _outcome_unknown(self, problem: str, operation: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"no whole answer of {self._provider} was read ({problem})", provider=self._provider, operation=operation
        )


def _check_request(method: str, target: str, headers: Mapping[str, str]) -> None:
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise ValueError("a request line takes a token and an encoded path")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError("a header's name or value holds what no header may hold")
        if name.lower() in _OUR_HEADERS:
            raise ValueError("the transport writes this header itself")


def _lower_case_headers(response: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}

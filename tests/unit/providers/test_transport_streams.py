"""A streamed answer is whole only if its end has been read, whatever happens on the way. (I24, I27)"""

from __future__ import annotations

import gzip
import itertools
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from switchboard.domain.errors import NotSentError, OutcomeUnknownError
from switchboard.providers.transport import Connection
from tests.fault_proxy import Ending, Fault, FaultProxy, ScriptedServer

BODY = b"0123456789"
WITH_LENGTH = b"HTTP/1.1 200 OK\r\nX-Name: value\r\nContent-Length: 10\r\n\r\n" + BODY
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
BOMB = gzip.compress(bytes(40_000_000))
ANSWERS = pytest.mark.parametrize(
    "whole",
    [WITH_LENGTH, CHUNKED, EARLY_HINTS + WITH_LENGTH],
    ids=["with a length", "chunked", "after a 103"],
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(WITH_LENGTH) as running:
        yield running


@pytest.fixture
def proxy(server: ScriptedServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as running:
        yield running


def connection_to(port: int, **options: object) -> Connection:
    options = {"connect_timeout_s": 5.0, "read_timeout_s": 5.0, "deadline_s": 20.0} | options
    return Connection(origin=f"http://127.0.0.1:{port}", provider="mediasms", allow_plain_http=True, **options)  # type: ignore[arg-type]


def pieces(port: int, *, limit: int = 4, deadline_s: float | None = None, **options: object) -> list[bytes]:
    connection = connection_to(port, **options)
    with connection.stream("GET", "/x", headers={}, operation="try", deadline_s=deadline_s) as answer:
        return list(iter(lambda: answer.read(limit), b""))


@ANSWERS
def test_a_body_is_read_in_pieces_of_bounded_size(server: ScriptedServer, whole: bytes) -> None:
    server.answer = whole
    chunks = pieces(server.port)
    assert b"".join(chunks) == BODY
    assert max(map(len, chunks)) <= 4


@pytest.mark.parametrize("status", [200, 302])
def test_a_gzip_bomb_is_read_raw_in_pieces_of_bounded_size(server: ScriptedServer, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nLocation: /\r\nContent-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n"
    server.answer = head.encode() + BOMB
    chunks = pieces(server.port, limit=1000)
    assert b"".join(chunks) == BOMB
    assert max(map(len, chunks)) <= 1000
    assert len(server.requests) == 1


def test_the_head_is_available_before_the_body(server: ScriptedServer) -> None:
    server.answer = WITH_LENGTH[: -len(BODY)]
    connection = connection_to(server.port)
    with connection.stream("GET", "/x", headers={}, operation="try") as answer:
        assert (answer.status, answer.length, answer.delimited) == (200, 10, True)
        assert answer.headers["x-name"] == "value"


@pytest.mark.parametrize(
    ("head", "length", "delimited"),
    [
        (b"Transfer-Encoding: chunked", None, True),
        (b"Connection: close", None, False),
        (b"Content-Length: many", None, False),
        (b"Content-Length: 0", 0, True),
    ],
    ids=["chunked", "until closed", "unreadable length", "empty"],
)
def test_a_head_says_if_the_end_of_the_body_will_be_marked(
    server: ScriptedServer, head: bytes, length: int | None, delimited: bool
) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n"
    with connection_to(server.port).stream("GET", "/x", headers={}, operation="try") as answer:
        assert (answer.length, answer.delimited) == (length, delimited)


@pytest.mark.parametrize("limit", [1, 3, 10, 11, 65536])
@pytest.mark.parametrize("ending", ["close", "reset"])
@ANSWERS
def test_an_answer_cut_at_any_byte_is_not_whole(
    server: ScriptedServer, proxy: FaultProxy, whole: bytes, ending: Ending, limit: int
) -> None:
    server.answer = whole
    for passed in range(len(whole)):
        proxy.fault = Fault(response_bytes=passed, ending=ending)
        with pytest.raises(OutcomeUnknownError):
            pieces(proxy.port, limit=limit)
    proxy.fault = Fault()
    assert b"".join(pieces(proxy.port, limit=limit)) == BODY


def test_an_answer_until_the_closing_is_read_to_its_end(server: ScriptedServer) -> None:
    server.answer, server.then_close = UNTIL_CLOSED, True
    assert b"".join(pieces(server.port)) == BODY


def test_surplus_bytes_that_are_still_in_the_socket_are_detected(server: ScriptedServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %05d\r\n\r\n"
    size = 16384 - len(head % 0)  # head and body fill the reader's own buffer twice, exactly
    server.answer = head % size + b"x" * size
    assert len(b"".join(pieces(server.port, limit=65536))) == size
    server.answer += b"y"
    with pytest.raises(OutcomeUnknownError, match="more came"):
        pieces(server.port, limit=65536)


@pytest.mark.parametrize("size", [10, 8192, 16384, 16385])
@pytest.mark.parametrize("limit", [4096, 8192, 65536])
def test_an_answer_with_surplus_bytes_is_not_whole(server: ScriptedServer, size: int, limit: int) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    assert len(b"".join(pieces(server.port, limit=limit))) == size
    server.answer += b"y"
    with pytest.raises(OutcomeUnknownError, match="more came"):
        pieces(server.port, limit=limit)


@pytest.mark.timeout(60)
def test_silence_within_the_body_ends_with_the_read_timeout(server: ScriptedServer, proxy: FaultProxy) -> None:
    proxy.fault = Fault(response_bytes=len(WITH_LENGTH) - 1, ending="stall")
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        pieces(proxy.port, read_timeout_s=0.1, deadline_s=3600.0)


@ANSWERS
@pytest.mark.parametrize("ending", ["close", "reset", "stall"])
def test_what_came_before_a_failure_is_read(
    server: ScriptedServer, proxy: FaultProxy, ending: Ending, whole: bytes
) -> None:
    server.answer, passed = whole, whole.index(BODY[:3]) + 3
    proxy.fault = Fault(response_bytes=passed, ending=ending)
    connection, received = connection_to(proxy.port, read_timeout_s=0.3), b""
    with connection.stream("GET", "/x", headers={}, operation="try") as answer, suppress(OutcomeUnknownError):
        for piece in iter(lambda: answer.read(65536), b""):
            received += piece
    assert received == BODY[:3]


def test_a_slow_drip_ends_with_the_deadline_of_the_stream(server: ScriptedServer, proxy: FaultProxy) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500
    proxy.fault = Fault(drip_s=0.02)
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        pieces(proxy.port, deadline_s=0.5, limit=1)


def test_the_deadline_runs_on_while_the_caller_does_not_read(server: ScriptedServer) -> None:
    now = 0.0
    server.answer = WITH_LENGTH[:-1]
    connection = connection_to(server.port, monotonic=lambda: now)
    with connection.stream("GET", "/x", headers={}, operation="try", deadline_s=5) as answer:
        now = 5.0
        with pytest.raises(OutcomeUnknownError, match="Timeout"):
            list(iter(lambda: answer.read(65536), b""))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 OK\r\n\r\n",
        EARLY_HINTS,
        EARLY_HINTS * 1000 + WITH_LENGTH,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + WITH_LENGTH,
        b"HTTP/1.1 200 OK\r\nX",
    ],
    ids=["empty", "no status", "only a 103", "flood of 103", "101", "cut"],
)
def test_an_unreadable_head_is_no_answer(head: bytes) -> None:
    with ScriptedServer(head, then_close=True) as server, pytest.raises(OutcomeUnknownError):
        pieces(server.port)


def test_a_stream_closes_its_connection_also_if_its_caller_fails(server: ScriptedServer) -> None:
    connection = connection_to(server.port)
    with (
        pytest.raises(KeyError),
        connection.stream("GET", "/x", headers={}, operation="try") as answer,
    ):
        answer.read(1)
        raise KeyError
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for expected in itertools.repeat(b"ok", 2):
        with connection.stream("GET", "/x", headers={}, operation="try") as answer:
            assert answer.read(9) == expected
    assert server.connections == 3


def test_a_stream_uses_the_connection_that_was_opened_ahead(server: ScriptedServer) -> None:
    connection = connection_to(server.port)
    connection.open()
    with connection.stream("GET", "/x", headers={}, operation="try") as answer:
        assert answer.read(99) == BODY
    assert server.connections == 1


def test_a_refused_connection_has_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotSentError):
        pieces(port)


def test_an_unsafe_request_is_refused_before_connecting(server: ScriptedServer) -> None:
    for target, headers in [("/a b", {}), ("/", {"X": "a\r\nY: b"}), ("/", {"Host": "elsewhere.invalid"})]:
        with (
            pytest.raises(ValueError, match=r"request line|header"),
            connection_to(server.port).stream("GET", target, headers=headers, operation="try"),
        ):
            pass
    assert server.connections == 0

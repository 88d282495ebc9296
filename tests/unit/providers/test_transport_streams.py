"""A streamed answer is whole only after its end has been read, with any fault on the way. (I24, I27)"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

from switchboard.domain.errors import NotSentError, OutcomeUnknownError
from switchboard.providers.transport import Connection
from tests.fault_proxy import Ending, Fault, FaultProxy, ScriptedServer

BODY = b"0123456789"
WITH_LENGTH = b"HTTP/1.1 200 OK\r\nX-Name: value\r\nContent-Length: 10\r\n\r\n" + BODY
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY


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
    return Connection(origin=f"http://127.0.0.1:{port}", provider="provider", allow_plain_http=True, **options)  # type: ignore[arg-type]


def read_pieces(port: int, *, limit: int = 4, deadline_s: float | None = None, **options: object) -> list[bytes]:
    connection = connection_to(port, **options)
    with connection.stream("GET", "/x", headers={}, operation="try", deadline_s=deadline_s) as answer:
        return list(iter(lambda: answer.read(limit), b""))


@pytest.mark.parametrize("whole", [WITH_LENGTH, CHUNKED], ids=["length", "chunked"])
def test_a_body_is_read_in_pieces_of_bounded_size(server: ScriptedServer, whole: bytes) -> None:
    server.answer = whole
    chunks = read_pieces(server.port)
    assert b"".join(chunks) == BODY
    assert max(map(len, chunks)) <= 4


def test_the_head_is_readable_before_the_body(server: ScriptedServer) -> None:
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
    ids=["chunked", "closing", "unreadable length", "no body"],
)
def test_length_and_delimitation_are_known_from_the_head(
    server: ScriptedServer, head: bytes, length: int | None, delimited: bool
) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n"
    with connection_to(server.port).stream("GET", "/x", headers={}, operation="try") as answer:
        assert (answer.length, answer.delimited) == (length, delimited)


@pytest.mark.parametrize("limit", [1, 3, 10, 11, 65536])
@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("whole", [WITH_LENGTH, CHUNKED], ids=["length", "chunked"])
def test_a_stream_cut_at_any_byte_is_not_whole(
    server: ScriptedServer, proxy: FaultProxy, whole: bytes, ending: Ending, limit: int
) -> None:
    server.answer = whole
    for passed in range(len(whole)):
        proxy.fault = Fault(response_bytes=passed, ending=ending)
        with pytest.raises(OutcomeUnknownError):
            read_pieces(proxy.port, limit=limit)
    proxy.fault = Fault()
    assert b"".join(read_pieces(proxy.port, limit=limit)) == BODY


def test_a_stream_ended_by_closing_is_read_to_its_end(server: ScriptedServer) -> None:
    server.answer, server.then_close = UNTIL_CLOSED, True
    assert b"".join(read_pieces(server.port)) == BODY


def test_surplus_bytes_in_the_socket_are_noticed(server: ScriptedServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %05d\r\n\r\n"
    size = 16384 - len(head % 0)  # head and body fill the reader's own buffer exactly twice
    server.answer = head % size + b"x" * size
    assert len(b"".join(read_pieces(server.port, limit=65536))) == size
    server.answer += b"y"
    with pytest.raises(OutcomeUnknownError, match="longer than announced"):
        read_pieces(server.port, limit=65536)


@pytest.mark.parametrize("size", [10, 8192, 16384, 16385])
@pytest.mark.parametrize("limit", [4096, 8192, 65536])
def test_a_body_longer_than_announced_is_an_error(server: ScriptedServer, size: int, limit: int) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    assert len(b"".join(read_pieces(server.port, limit=limit))) == size
    server.answer += b"y"
    with pytest.raises(OutcomeUnknownError, match="longer than announced"):
        read_pieces(server.port, limit=limit)


def test_silence_within_the_body_ends_with_the_read_timeout(server: ScriptedServer, proxy: FaultProxy) -> None:
    proxy.fault = Fault(response_bytes=len(WITH_LENGTH) - 1, ending="stall")
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        read_pieces(proxy.port, read_timeout_s=0.1)


def test_a_slow_stream_ends_with_its_own_deadline(server: ScriptedServer, proxy: FaultProxy) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500
    proxy.fault = Fault(drip_s=0.02)
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        read_pieces(proxy.port, deadline_s=0.5, limit=1)


def test_the_deadline_counts_on_while_the_reader_is_busy(server: ScriptedServer) -> None:
    now = 0.0
    server.answer = WITH_LENGTH[:-1]
    connection = connection_to(server.port, monotonic=lambda: now)
    with connection.stream("GET", "/x", headers={}, operation="try", deadline_s=5) as answer:
        now = 5.0
        with pytest.raises(OutcomeUnknownError, match="Timeout"):
            list(iter(lambda: answer.read(65536), b""))


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\nX"],
    ids=["nothing", "no status", "provisional", "cut"],
)
def test_an_unreadable_head_has_an_unknown_outcome(head: bytes) -> None:
    with ScriptedServer(head, then_close=True) as server, pytest.raises(OutcomeUnknownError):
        read_pieces(server.port)


def test_a_stream_with_a_failed_reader_closes_its_connection(server: ScriptedServer) -> None:
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


def test_a_stream_uses_the_connection_opened_ahead(server: ScriptedServer) -> None:
    connection = connection_to(server.port)
    connection.open()
    with connection.stream("GET", "/x", headers={}, operation="try") as answer:
        assert answer.read(99) == BODY
    assert server.connections == 1


def test_a_stream_to_a_closed_port_means_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotSentError):
        read_pieces(port)


def test_a_stream_checks_its_request_too(server: ScriptedServer) -> None:
    for target, headers in [("/a b", {}), ("/", {"X": "a\r\nY: b"}), ("/", {"Host": "elsewhere.invalid"})]:
        with (
            pytest.raises(ValueError, match=r"request line|header"),
            connection_to(server.port).stream("GET", target, headers=headers, operation="try"),
        ):
            pass
    assert server.connections == 0

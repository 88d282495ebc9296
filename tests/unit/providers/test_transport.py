"""The transport knows what has left, believes whole answers only, and connects to its origin only."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import http.client
import inspect
import ipaddress
import itertools
import logging
import socket
import ssl
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import requests
import urllib3.connection
import urllib3.exceptions
import urllib3.response
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from switchboard.domain.errors import ConfigurationError, NotSentError, OutcomeUnknownError, ProviderError
from switchboard.providers.http_adapter import FAILURES
from switchboard.providers.transport import Answer, Connection, parse_endpoint
from tests.fault_proxy import Ending, Fault, FaultProxy, ScriptedServer

TARGET = "/path?canary-in-target"
SECRET = "canary-in-header"
BODY = b"canary-in-body"
WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n200"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0002\r\n20\r\n1\r\n0\r\n000\r\n\r\n"
UNTIL_CLOSED_HEAD = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n200"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nLink: </script.js>\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
BOMB = gzip.compress(bytes(40_000_000))
ANSWERS = pytest.mark.parametrize(
    "whole",
    [WITH_LENGTH, CHUNKED, CLOSING, EARLY_HINTS + WITH_LENGTH],
    ids=["with a length", "chunked", "closing", "after a 103"],
)


def connection_to(port: int, **options: object) -> Connection:
    options = {"connect_timeout_s": 5.0, "read_timeout_s": 5.0, "deadline_s": 20.0} | options
    return Connection(
        origin=f"http://127.0.0.1:{port}",
        provider="mediasms",
        allow_plain_http=True,
        **options,  # type: ignore[arg-type]
    )


def post(connection: Connection) -> Answer:
    return connection.exchange("POST", TARGET, headers={"Authorization": SECRET}, body=BODY, operation="try")


def post_once(port: int, **options: object) -> Answer:
    connection = connection_to(port, **options)
    try:
        return post(connection)
    finally:
        connection.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(WITH_LENGTH) as running:
        yield running


@pytest.fixture
def proxy(server: ScriptedServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as running:
        yield running


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_whole_answer_is_returned_unchanged(server: ScriptedServer) -> None:
    answer = post_once(server.port)
    assert (answer.status, answer.body, answer.delimited) == (200, b"200", True)
    assert answer.headers["content-type"] == "text/html"
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b"canary-in-body"
    assert head.startswith(b"POST /path?canary-in-target HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}".encode() in head.split(b"\r\n")


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_request_cut_at_any_byte_has_an_unknown_outcome(
    server: ScriptedServer, proxy: FaultProxy, ending: Ending
) -> None:
    post_once(server.port)
    for passed in range(len(server.requests[0])):
        proxy.fault = Fault(request_bytes=passed, ending=ending)
        with pytest.raises(OutcomeUnknownError):
            post_once(proxy.port)
    assert len(server.requests) == 1


@pytest.mark.parametrize("ending", ["close", "reset"])
@ANSWERS
def test_an_answer_cut_at_any_byte_has_an_unknown_outcome(
    server: ScriptedServer, proxy: FaultProxy, whole: bytes, ending: Ending
) -> None:
    server.answer = whole
    for passed in range(len(whole)):
        proxy.fault = Fault(response_bytes=passed, ending=ending)
        with pytest.raises(OutcomeUnknownError):
            post_once(proxy.port)
    proxy.fault = Fault()
    assert post_once(proxy.port).body == b"200"


def test_an_answer_until_the_closing_is_not_delimited_and_needs_its_head(
    server: ScriptedServer, proxy: FaultProxy
) -> None:
    server.answer, server.then_close = UNTIL_CLOSED_HEAD + b"200", True
    for passed in range(len(UNTIL_CLOSED_HEAD)):
        proxy.fault = Fault(response_bytes=passed)
        with pytest.raises(OutcomeUnknownError):
            post_once(proxy.port)
    for passed in range(4):
        proxy.fault = Fault(response_bytes=len(UNTIL_CLOSED_HEAD) + passed)
        answer = post_once(proxy.port)
        assert (answer.body, answer.delimited) == (b"200"[:passed], False)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("silent_after", [0, 5, len(WITH_LENGTH) - 1])
def test_silence_ends_with_the_read_timeout(server: ScriptedServer, proxy: FaultProxy, silent_after: int) -> None:
    proxy.fault = Fault(response_bytes=silent_after, ending="stall")
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        post_once(proxy.port, read_timeout_s=0.1, deadline_s=3600.0)


@pytest.mark.parametrize(
    "whole",
    [WITH_LENGTH, CHUNKED, UNTIL_CLOSED_HEAD + b"2" * 100, EARLY_HINTS * 20],
    ids=["with a length", "chunked", "until closed", "only 103"],
)
def test_a_slow_drip_ends_with_the_deadline(server: ScriptedServer, proxy: FaultProxy, whole: bytes) -> None:
    server.answer = whole
    proxy.fault = Fault(drip_s=0.02)
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        post_once(proxy.port, deadline_s=0.3)


@pytest.mark.timeout(60)
def test_a_long_read_timeout_does_not_outlast_the_deadline(server: ScriptedServer, proxy: FaultProxy) -> None:
    proxy.fault = Fault(response_bytes=5, ending="stall")
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        post_once(proxy.port, deadline_s=0.1, read_timeout_s=3600.0)


def test_the_deadline_runs_on_while_bytes_arrive(server: ScriptedServer) -> None:
    seconds = itertools.count()  # a second passes each time the clock is read
    server.answer = WITH_LENGTH.replace(b"3", b"90000") + b"2" * 80_000
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        post_once(server.port, deadline_s=4, monotonic=lambda: float(next(seconds)))


def test_a_late_answer_within_the_deadline_is_an_answer(server: ScriptedServer, proxy: FaultProxy) -> None:
    proxy.fault = Fault(delay_s=0.1)
    assert post_once(proxy.port).body == b"200"


UNREADABLE = {
    "empty": b"",
    "no status line": b"200",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "short status": b"HTTP/1.1 20\r\n\r\n",
    "other version": b"HTTP/2 200 OK\r\n\r\n",
    "only a 103": EARLY_HINTS,
    "a 101": SWITCHING,
    "a 101 before an answer": SWITCHING + WITH_LENGTH,
    "a 101 after a 103": EARLY_HINTS + SWITCHING + WITH_LENGTH,
    "a 103 without its end": EARLY_HINTS[:-2] + WITH_LENGTH,
    "a 103 in disguise": b"HTTP/1.1 +103 Early Hints\r\n\r\n" + WITH_LENGTH,
    "less than announced": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n200",
    "more than announced": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n200",
    "more after the last chunk": CHUNKED + b"0",
    "a second answer": WITH_LENGTH + WITH_LENGTH,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n200",
    "no chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n200\r\n0\r\n\r\n",
    "a 103 for a chunk size": CHUNKED.replace(b"0002", EARLY_HINTS + b"0002"),
    "long header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    "long body": b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"2" * 70_000,
    "long body until closed": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"2" * 70_000,
}


@pytest.mark.parametrize("garbled", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_answer_has_an_unknown_outcome(garbled: bytes) -> None:
    with ScriptedServer(garbled, then_close=True) as server, pytest.raises(OutcomeUnknownError):
        post_once(server.port)


@ANSWERS
def test_an_answer_with_a_changed_byte_is_read_or_unknown(whole: bytes) -> None:
    with ScriptedServer(then_close=True) as server:
        for position, byte in itertools.product(range(len(whole)), b"\n 1\xff"):
            server.answer = whole[:position] + bytes([byte]) + whole[position + 1 :]
            with contextlib.suppress(OutcomeUnknownError):
                assert post_once(server.port).status >= 200


@pytest.mark.parametrize(
    "provisional",
    [
        CONTINUE,
        PROCESSING,
        EARLY_HINTS,
        CONTINUE + PROCESSING * 3 + EARLY_HINTS,
        PROCESSING * 50,
        b"HTTP/1.1 199\r\nX: y\r\n\r\n",
        b"HTTP/1.0 100 Continue\n\n",
        b"HTTP/1.1 103 \xe2\x80\xa6\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>,\r\n </b>\r\n\r\n",
    ],
    ids=["100", "102", "103", "several", "fifty", "199", "http 1.0 and lf", "a length and no ascii", "folded"],
)
@pytest.mark.parametrize("whole", [WITH_LENGTH, CHUNKED], ids=["with a length", "chunked"])
def test_a_provisional_answer_is_skipped(server: ScriptedServer, provisional: bytes, whole: bytes) -> None:
    server.answer = provisional + whole
    connection = connection_to(server.port)
    for _ in range(2):
        answer = post(connection)
        assert (answer.status, answer.body, answer.delimited) == (200, b"200", True)
        assert "link" not in answer.headers
    assert server.connections == 1
    connection.close()


FLOODS = {
    "100": CONTINUE * 1000,
    "102": PROCESSING * 1000,
    "103": EARLY_HINTS * 1000,
    "one with many headers": b"HTTP/1.1 103 Early Hints\r\n" + b"X: x\r\n" * 1000 + b"\r\n",
    "one with a long header": b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 70_000 * 100 + b"\r\n\r\n",
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_provisional_answers_has_an_unknown_outcome(server: ScriptedServer, flood: bytes) -> None:
    server.answer = flood + WITH_LENGTH
    with pytest.raises(OutcomeUnknownError, match="TooManyProvisionalAnswers"):
        post_once(server.port)


def test_silence_after_a_provisional_answer_ends_with_the_read_timeout(
    server: ScriptedServer, proxy: FaultProxy
) -> None:
    server.answer = EARLY_HINTS + WITH_LENGTH
    proxy.fault = Fault(response_bytes=len(EARLY_HINTS), ending="stall")
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        post_once(proxy.port, read_timeout_s=0.3)


def test_a_body_as_long_as_the_cap_is_read(server: ScriptedServer) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789"
    assert post_once(server.port, max_body_bytes=9).body == b"123456789"
    with pytest.raises(OutcomeUnknownError):
        post_once(server.port, max_body_bytes=8)


def test_a_compressed_body_is_neither_requested_nor_unpacked(server: ScriptedServer) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n200"
    assert post_once(server.port).body == b"200"
    assert b"\r\nAccept-Encoding: identity\r\n" in server.requests[0]


@pytest.mark.parametrize("status", [200, 302, 503])
def test_a_gzip_bomb_is_returned_raw_within_the_cap_only(server: ScriptedServer, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nLocation: /\r\nContent-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n"
    server.answer = head.encode() + BOMB
    assert post_once(server.port, max_body_bytes=len(BOMB)).body == BOMB
    with pytest.raises(OutcomeUnknownError, match="longer than"):
        post_once(server.port, max_body_bytes=len(BOMB) - 1)


def test_a_refused_connection_has_sent_nothing() -> None:
    connection = connection_to(refused_port())
    with pytest.raises(NotSentError) as opening:
        connection.open()
    assert (opening.value.provider, opening.value.operation) == ("mediasms", "open")
    with pytest.raises(NotSentError) as posting:
        post(connection)
    assert posting.value.operation == "try"
    assert opening.value.__context__ is None
    assert posting.value.__context__ is None


def test_an_unresolvable_name_has_sent_nothing() -> None:
    connection = Connection(origin="https://" + "a" * 64 + ".invalid", provider="mediasms")
    with pytest.raises(NotSentError):
        connection.open()


def test_a_deadline_that_ends_before_the_first_byte_has_sent_nothing(server: ScriptedServer) -> None:
    with pytest.raises(NotSentError) as caught:
        post_once(server.port, deadline_s=0)
    assert caught.value.operation == "try"
    assert server.requests == []


def test_a_live_connection_is_used_again_within_a_second_only(server: ScriptedServer) -> None:
    now = 0.0
    connection = connection_to(server.port, monotonic=lambda: now)
    connection.open()
    connection.open()
    assert post(connection).body == b"200"
    now = 1.0
    assert post(connection).body == b"200"
    assert server.connections == 1
    now = 2.1
    connection.open()
    assert post(connection).body == b"200"
    assert server.connections == 2
    connection.close()


def test_a_connection_opened_ahead_stays_usable_for_half_a_second(server: ScriptedServer) -> None:
    now = 0.0
    connection = connection_to(server.port, monotonic=lambda: now)
    connection.open()
    now = 0.5
    connection.open()
    now = 1.0
    assert post(connection).body == b"200"
    assert server.connections == 1
    now = 1.6
    connection.open()
    now = 1.9  # it would have been too old from 2.0 on
    assert post(connection).body == b"200"
    assert server.connections == 2
    connection.close()


def test_a_connection_that_the_other_side_closed_is_not_used_again(server: ScriptedServer) -> None:
    server.then_close = True
    connection = connection_to(server.port, idle_limit_s=60)
    for _ in range(2):
        assert post(connection).body == b"200"
        while not server_has_closed(connection):
            pass
    assert server.connections == 2
    connection.close()


def test_a_connection_that_the_answer_closes_is_not_used_again(server: ScriptedServer) -> None:
    server.answer = CLOSING
    connection = connection_to(server.port)
    for _ in range(2):
        assert post(connection).body == b"200"
    assert server.connections == 2
    connection.close()


def server_has_closed(connection: Connection) -> bool:
    """Wait until the end of the stream has arrived here."""
    connected = connection._adapter._socket
    assert connected
    connected.settimeout(5)
    return connected.recv(1, socket.MSG_PEEK) == b""


def test_a_connection_is_not_used_again_after_a_failure(server: ScriptedServer) -> None:
    connection = connection_to(server.port)
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n200"
    with pytest.raises(OutcomeUnknownError):
        post(connection)
    server.answer = WITH_LENGTH
    assert post(connection).body == b"200"
    assert server.connections == 2
    connection.close()


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("POST", "/a\r\nX: y", {}),
        ("POST", "/a b", {}),
        ("POST", "http://elsewhere.invalid/", {}),
        ("POST", "/あ", {}),
        ("PO ST", "/", {}),
        ("POST", "/", {"X": "a\r\nY: b"}),
        ("POST", "/", {"X": "a\n b"}),
        ("POST", "/", {"X\r\nY": "b"}),
        ("POST", "/", {"X": "あ"}),
        ("POST", "/", {"X": " a"}),
        ("POST", "/", {"content-length": "1"}),
        ("POST", "/", {"Host": "elsewhere.invalid"}),
    ],
    ids=[
        "line break in target", "space in target", "another origin", "not ASCII in target", "space in method",
        "line break in value", "folded value", "line break in name", "not ASCII in value", "space before value",
        "length", "host",
    ],
)  # fmt: skip
def test_an_unsafe_request_is_refused_before_connecting(
    server: ScriptedServer, method: str, target: str, headers: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"request line|header"):
        connection_to(server.port).exchange(method, target, headers=headers, operation="try")
    assert server.connections == 0


def test_a_request_carries_its_target_and_its_headers_unchanged(server: ScriptedServer) -> None:
    target = "/a/../b%7e%2f?x=%E3%81%82&y=~&&z=a+b|%"
    connection = connection_to(server.port)
    connection.exchange("POST", target, headers={"x-Name": "a  b "}, body=b"", operation="try")
    connection.exchange("GET", target, headers={}, operation="try")
    connection.close()
    lines = [request.partition(b"\r\n\r\n")[0].decode().split("\r\n") for request in server.requests]
    assert [head[0] for head in lines] == [f"POST {target} HTTP/1.1", f"GET {target} HTTP/1.1"]
    assert "x-Name: a  b " in lines[0]
    names = [{line.partition(":")[0] for line in head[1:]} for head in lines]
    assert names[1] == {"Host", "Accept-Encoding", "User-Agent"}
    assert names[0] == names[1] | {"x-Name", "Content-Length"}


@pytest.mark.parametrize("location", ["{elsewhere}/", "/other", "//[", "http://", ""])
def test_a_redirect_is_an_answer_and_is_not_followed(server: ScriptedServer, location: str) -> None:
    with ScriptedServer(WITH_LENGTH) as elsewhere:
        location = location.format(elsewhere=elsewhere.origin)
        for status in (300, 301, 302, 303, 307, 308):
            head = f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 3\r\n\r\n"
            server.answer = head.encode() + b"200"
            answer = post_once(server.port)
            assert (answer.status, answer.headers["location"], answer.body) == (status, location, b"200")
        assert elsewhere.connections == 0
    assert len(server.requests) == 6


def test_a_cookie_is_neither_stored_nor_sent_again(server: ScriptedServer) -> None:
    server.answer = WITH_LENGTH.replace(b"\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie2: c=d; Version=1\r\n", 1)
    connection = connection_to(server.port)
    for _ in range(2):
        assert post(connection).headers["set-cookie"] == "a=b; Path=/"
    assert list(connection._session.cookies) == []
    assert not any(b"cookie" in request.lower() for request in server.requests)
    connection.close()


def test_a_session_reaches_no_other_origin(server: ScriptedServer) -> None:
    with ScriptedServer(WITH_LENGTH) as elsewhere, pytest.raises(requests.exceptions.InvalidSchema):
        connection_to(server.port)._session.get(elsewhere.origin)
    assert elsewhere.connections == 0


def test_a_proxy_and_a_netrc_of_the_environment_are_ignored(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary-user password canary-password\n")
    with ScriptedServer(WITH_LENGTH) as elsewhere:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, elsewhere.origin)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("NETRC", str(netrc))
        assert post_once(server.port).body == b"200"
        assert elsewhere.connections == 0
    assert b"canary-in-header" in server.requests[0]
    assert server.requests[0].lower().count(b"authorization") == 1


@pytest.mark.parametrize(
    "garbled",
    [b"", b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 4\r\n\r\n200", CHUNKED[:-2], EARLY_HINTS * 50, SWITCHING],
    ids=["empty", "no colon", "no last chunk", "flood of 103", "101"],
)
def test_errors_and_logs_show_nothing_of_a_request(caplog: pytest.LogCaptureFixture, garbled: bytes) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(garbled, then_close=True) as server:
        try:
            post_once(server.port)
        except ProviderError as error:
            text = "".join(traceback.format_exception(error)) + repr(vars(error))
            assert error.__cause__ is None
            assert error.__context__ is None
        else:
            text = ""
        text += caplog.text
    for canary in ("canary-in", str(server.port)):
        assert canary not in text


def test_an_answer_does_not_print_its_body_or_headers(server: ScriptedServer) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nX: canary\r\nContent-Length: 6\r\n\r\ncanary"
    assert "canary" not in repr(post_once(server.port))


EXCEPTIONS = {
    urllib3.exceptions: {
        "BodyNotHttplibCompatible", "ClosedPoolError", "ConnectTimeoutError", "DecodeError", "EmptyPoolError",
        "FullPoolError", "HTTPError", "HeaderParsingError", "HostChangedError", "IncompleteRead",
        "InvalidChunkLength", "InvalidHeader", "LocationParseError", "LocationValueError", "MaxRetryError",
        "NameResolutionError", "NewConnectionError", "PoolError", "ProtocolError", "ProxyError",
        "ProxySchemeUnknown", "ProxySchemeUnsupported", "ReadTimeoutError", "RequestError", "ResponseError",
        "ResponseNotChunked", "SSLError", "TimeoutError", "TimeoutStateError", "URLSchemeUnknown",
        "UnrewindableBodyError",
    },
    requests.exceptions: {
        "ChunkedEncodingError", "ConnectTimeout", "ConnectionError", "ContentDecodingError", "HTTPError",
        "InvalidHeader", "InvalidJSONError", "InvalidProxyURL", "InvalidSchema", "InvalidURL", "JSONDecodeError",
        "MissingSchema", "ProxyError", "ReadTimeout", "RequestException", "RetryError", "SSLError",
        "StreamConsumedError", "Timeout", "TooManyRedirects", "URLRequired", "UnrewindableBodyError",
    },
    http.client: {
        "BadStatusLine", "CannotSendHeader", "CannotSendRequest", "HTTPException", "ImproperConnectionState",
        "IncompleteRead", "InvalidURL", "LineTooLong", "NotConnected", "RemoteDisconnected", "ResponseNotReady",
        "UnimplementedFileMode", "UnknownProtocol", "UnknownTransferEncoding",
    },
}  # fmt: skip
"""The exceptions of the drivers as of urllib3 2.8, requests 2.34 and Python 3.13, each read and judged.

Each is a failure of connecting (nothing sent) or of an exchange (unknown), depending on the place that raises it. A
new one has to be read before it is added.
"""


def exceptions_in(module: ModuleType) -> dict[str, type[Exception]]:
    return {
        name: kind
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__ and kind.__name__ == name
        if issubclass(kind, Exception) and not issubclass(kind, Warning)
    }


@pytest.mark.parametrize("module", EXCEPTIONS, ids=lambda module: module.__name__)
def test_every_exception_of_the_drivers_is_mapped(module: ModuleType) -> None:
    kinds = exceptions_in(module)
    assert not [name for name, kind in kinds.items() if not issubclass(kind, FAILURES)]
    assert set(kinds) == EXCEPTIONS[module]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ((urllib3.connection.HTTPConnection, "connect"), NotSentError),
        ((urllib3.connection.HTTPConnection, "putrequest"), NotSentError),
        ((urllib3.connection.HTTPConnection, "getresponse"), OutcomeUnknownError),
        ((urllib3.response.HTTPResponse, "read"), OutcomeUnknownError),
    ],
    ids=["connecting", "before the first byte", "reading the head", "reading the body"],
)
def test_an_exception_of_a_driver_becomes_one_of_ours(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, target: tuple[type, str], expected: type[ProviderError]
) -> None:
    for kind in [kind for module in EXCEPTIONS for kind in exceptions_in(module).values()]:

        def fail(*_: object, kind: type[Exception] = kind, **__: object) -> None:
            raise kind.__new__(kind)

        monkeypatch.setattr(*target, fail)
        with pytest.raises(expected, match=rf"\({kind.__name__}\)$"):
            post_once(server.port)


@pytest.mark.parametrize(
    "url",
    ["http://a.invalid/", "ftp://a.invalid/", "//a.invalid/", "a.invalid", "", "https://", "https://u:p@a.invalid/",
     "https://a.invalid/?x=1", "https://a.invalid/#x", "https://a.invalid:x/", "https://a.invalid/a b",
     "https://[a/"],
)  # fmt: skip
def test_anything_but_a_plain_endpoint_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_endpoint(url)


def test_plain_http_has_to_be_allowed() -> None:
    with pytest.raises(ConfigurationError):
        Connection(origin="http://127.0.0.1:1", provider="mediasms")


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://a.invalid/sms/api/?", "https://a.invalid", "/sms/api/"),
        ("https://a.invalid:8443", "https://a.invalid:8443", "/"),
        ("http://[::1]:9000/x", "http://[::1]:9000", "/x"),
    ],
)
def test_an_endpoint_is_split_into_origin_and_path(url: str, origin: str, path: str) -> None:
    endpoint = parse_endpoint(url, allow_plain_http=True)
    assert (str(endpoint.origin), endpoint.path) == (origin, path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[ScriptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ScriptedServer(WITH_LENGTH, tls=context) as running:
        yield running


def tls_connection(origin: str, certificate: Path | None, *, deadline_s: float = 20.0) -> Connection:
    return Connection(
        origin=origin,
        provider="mediasms",
        tls_context=ssl.create_default_context(cafile=certificate) if certificate else None,
        connect_timeout_s=5.0,
        deadline_s=deadline_s,
        idle_limit_s=60.0,
    )


def test_a_tls_connection_is_opened_ahead_and_used_again(tls_server: ScriptedServer, certificate: Path) -> None:
    connection = tls_connection(f"https://127.0.0.1:{tls_server.port}", certificate)
    connection.open()
    for _ in range(2):
        connection.open()
        assert post(connection).body == b"200"
    assert tls_server.connections == 1
    connection.close()


def test_an_endless_answer_through_tls_ends_with_the_deadline(tls_server: ScriptedServer, certificate: Path) -> None:
    tls_server.answer = UNTIL_CLOSED_HEAD
    connection = tls_connection(f"https://127.0.0.1:{tls_server.port}", certificate, deadline_s=0.3)
    connection.open()
    with pytest.raises(OutcomeUnknownError, match="Timeout"):
        post(connection)


def test_nothing_is_sent_to_a_server_with_an_untrusted_certificate(
    tls_server: ScriptedServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(certificate))
    with pytest.raises(NotSentError):
        post(tls_connection(f"https://127.0.0.1:{tls_server.port}", None))
    assert tls_server.requests == []


def test_nothing_is_sent_to_a_server_with_another_name(tls_server: ScriptedServer, certificate: Path) -> None:
    with pytest.raises(NotSentError):
        post(tls_connection(f"https://localhost:{tls_server.port}", certificate))
    assert tls_server.requests == []


def test_a_handshake_that_never_ends_has_sent_nothing(tls_server: ScriptedServer) -> None:
    with FaultProxy(tls_server.port) as proxy:
        proxy.fault = Fault(response_bytes=10, ending="stall")
        connection = Connection(origin=f"https://127.0.0.1:{proxy.port}", provider="mediasms", connect_timeout_s=0.2)
        with pytest.raises(NotSentError):
            connection.open()

"""BIZTEL's client requests a recording once, passes it on in chunks, and rejects anything else. (I24, I26, I27)"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchboard.domain.errors import (
    AuthenticationFailedError,
    ConfigurationError,
    DownloadFailedError,
    DownloadTooLargeError,
    ForbiddenError,
    NotSentError,
    ProviderError,
    ProviderNotFoundError,
    RateLimitedError,
    RefusedError,
)
from switchboard.domain.recording.facts import Channel
from switchboard.ports.recordings import RecordingSource
from switchboard.providers.biztel.client import CHUNK_BYTES, ApiToken, BiztelClient
from switchboard.providers.transport import Connection
from switchboard.usecases.recording.fetch import FetchPace
from tests.fault_proxy import Ending, Fault, FaultProxy, ScriptedServer
from tests.ids import describe_row

TOKEN = "canary-token"
ID = "21061600000268000060"
FRAME = b"\xff\xe3\x28\xc4" + b"\x00" * 68


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    lines = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + body


def audio(size: int) -> bytes:
    return (FRAME * (size // len(FRAME) + 1))[:size]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(answer(body=FRAME)) as running:
        yield running


@pytest.fixture
def proxy(server: ScriptedServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as running:
        yield running


def client_for(port: int, **options: object) -> BiztelClient:
    defaults: dict[str, object] = {
        "base_url": f"http://127.0.0.1:{port}",
        "token": lambda: ApiToken(value=TOKEN),
        "allow_plain_http": True,
        "deadline_s": 20.0,
        "silence_s": 5.0,
    }
    return BiztelClient(**defaults | options)  # type: ignore[arg-type]


def test_a_connection_outlasts_the_longest_wait_for_a_slot(server: ScriptedServer) -> None:
    """A second connection would be opened after the slot, and its handshake would make the request late."""
    longest_s = FetchPace().wait_budget.total_seconds() + 2.0  # the two seconds are for counting the request
    client = client_for(server.port)
    client.open()
    client._connection._adapter._monotonic = lambda: time.monotonic() + longest_s
    with client.download(ID, Channel.LEFT) as download:
        assert b"".join(download.chunks()) == FRAME
    assert server.connections == 1


def fetch(port: int, *, channel: Channel = Channel.LEFT, deadline_s: float | None = None, **options: object) -> bytes:
    with client_for(port, **options).download(ID, channel, deadline_s=deadline_s) as download:
        return b"".join(download.chunks())


def test_a_download_is_requested_as_the_document_shows(server: ScriptedServer) -> None:
    source: RecordingSource = client_for(server.port)
    source.open()
    with source.download(ID, Channel.MONAURAL) as download:
        assert b"".join(download.chunks()) == FRAME
    (request,) = server.requests
    line, *headers = request.decode("ascii").strip().split("\r\n")
    assert line == f"GET /public/api/v1/monitor/{ID}?content_type=monaural HTTP/1.1"
    assert f"Authorization: Token {TOKEN}" in headers
    assert server.connections == 1


@pytest.mark.parametrize("channel", Channel)
def test_each_channel_has_the_documents_content_type(server: ScriptedServer, channel: Channel) -> None:
    fetch(server.port, channel=channel)
    assert f"?content_type={channel.value} ".encode() in server.requests[0]


def test_the_head_is_known_before_the_first_chunk(server: ScriptedServer) -> None:
    disposition = "attachment; filename=20190718161058-2006-2002-1563433858.66-SRC_l.mp3"
    server.answer = answer(body=FRAME, Content_Type="audio/mpeg", Content_Disposition=disposition)
    with client_for(server.port).download(ID, Channel.LEFT) as download:
        assert download.end_is_certain
        assert download.file_name == "20190718161058-2006-2002-1563433858.66-SRC_l.mp3"


def test_a_file_without_a_name_is_named_by_id_and_channel(server: ScriptedServer) -> None:
    with client_for(server.port).download(ID, Channel.RIGHT) as download:
        assert download.file_name == f"{ID}_right.mp3"


@pytest.mark.parametrize("size", [4, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5])
def test_a_recording_is_whole_in_chunks_of_bounded_size(server: ScriptedServer, size: int) -> None:
    server.answer = answer(body=audio(size))
    with client_for(server.port).download(ID, Channel.LEFT) as download:
        chunks = list(download.chunks())
    assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)
    assert hashlib.sha256(b"".join(chunks)).digest() == hashlib.sha256(audio(size)).digest()


def test_memory_does_not_grow_with_the_size_of_a_recording(server: ScriptedServer) -> None:
    peaks = []
    for size in (1024 * 1024, 8 * 1024 * 1024):
        server.answer = answer(body=audio(size))
        with client_for(server.port, deadline_s=120.0).download(ID, Channel.LEFT) as download:
            tracemalloc.start()
            received = sum(map(len, download.chunks()))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert received == size
    assert max(peaks) < 1024 * 1024


def test_a_chunked_recording_is_whole_with_its_last_chunk(server: ScriptedServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.answer = head + b"48\r\n" + FRAME + b"\r\n0\r\n\r\n"
    with client_for(server.port).download(ID, Channel.LEFT) as download:
        assert download.end_is_certain
        assert b"".join(download.chunks()) == FRAME
    server.answer, server.then_close = head + b"48\r\n" + FRAME + b"\r\n", True
    with pytest.raises(DownloadFailedError):
        fetch(server.port)


@pytest.mark.parametrize("require_length", [True, False])
def test_the_end_of_an_undelimited_recording_is_certain_only_by_setting(
    server: ScriptedServer, require_length: bool
) -> None:
    server.answer, server.then_close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + FRAME, True
    with client_for(server.port, require_length=require_length).download(ID, Channel.LEFT) as download:
        assert download.end_is_certain is not require_length
        assert b"".join(download.chunks()) == FRAME


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_transfer_cut_at_any_byte_is_never_whole(server: ScriptedServer, proxy: FaultProxy, ending: Ending) -> None:
    server.answer = answer(body=FRAME, Content_Type="audio/mpeg")
    for passed in range(len(server.answer)):
        proxy.fault = Fault(response_bytes=passed, ending=ending)
        with pytest.raises(DownloadFailedError):
            fetch(proxy.port)
    proxy.fault = Fault()
    assert fetch(proxy.port) == FRAME


@pytest.mark.parametrize("boundary", [0, CHUNK_BYTES, 2 * CHUNK_BYTES])
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_transfer_cut_around_a_chunk_boundary_is_never_whole(
    server: ScriptedServer, proxy: FaultProxy, boundary: int, off: int
) -> None:
    body = audio(2 * CHUNK_BYTES + 2)
    server.answer = answer(body=body)
    head = len(server.answer) - len(body)
    proxy.fault = Fault(response_bytes=head + boundary + off)
    with pytest.raises(DownloadFailedError):
        fetch(proxy.port)


@pytest.mark.parametrize("size", [72, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_transfer_longer_than_announced_fails(server: ScriptedServer, size: int) -> None:
    server.answer = answer(body=audio(size)) + b"x"
    with pytest.raises(DownloadFailedError):
        fetch(server.port)


def test_chunks_before_a_cut_end_in_an_error(server: ScriptedServer, proxy: FaultProxy) -> None:
    server.answer = answer(body=audio(2 * CHUNK_BYTES))
    proxy.fault = Fault(response_bytes=len(server.answer) - 1)
    with client_for(proxy.port).download(ID, Channel.LEFT) as download:
        pieces, received = download.chunks(), b""
        with pytest.raises(DownloadFailedError) as cut:
            for piece in pieces:
                received += piece
    assert received == audio(2 * CHUNK_BYTES)[:-1]
    assert (cut.value.provider, cut.value.operation, cut.value.http_status) == ("biztel", "download_recording", 200)


def test_a_stalled_transfer_ends_with_the_silence_limit(server: ScriptedServer, proxy: FaultProxy) -> None:
    proxy.fault = Fault(response_bytes=len(server.answer) - 1, ending="stall")
    with pytest.raises(DownloadFailedError, match="Timeout"):
        fetch(proxy.port, silence_s=0.1)


def test_a_slow_transfer_ends_with_the_deadline(server: ScriptedServer, proxy: FaultProxy) -> None:
    proxy.fault = Fault(drip_s=0.02)
    server.answer = answer(body=audio(500))
    with pytest.raises(DownloadFailedError, match="Timeout"):
        fetch(proxy.port, deadline_s=0.5)


def test_a_stalled_error_body_leaves_the_status_to_decide(server: ScriptedServer, proxy: FaultProxy) -> None:
    body = b" " * 500
    server.answer = answer(404, body)
    proxy.fault = Fault(response_bytes=len(server.answer) - 400, ending="stall")
    with pytest.raises(ProviderNotFoundError):
        fetch(proxy.port, silence_s=0.1)


@pytest.mark.parametrize("content_type", ["audio/mpeg", "text/html; charset=utf-8", "application/json", "", "x"])
@pytest.mark.parametrize("body", [FRAME, b"<html>", b'{"type": "UNAUTHENTICATED"}'], ids=["audio", "page", "JSON"])
def test_the_type_of_a_success_decides_nothing(server: ScriptedServer, content_type: str, body: bytes) -> None:
    server.answer = answer(body=body, Content_Type=content_type)
    assert fetch(server.port) == body


def test_an_empty_success_is_a_failed_download(server: ScriptedServer) -> None:
    for empty in (answer(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        server.answer = empty
        with pytest.raises(DownloadFailedError, match="empty"):
            fetch(server.port)


LIMIT = 2 * CHUNK_BYTES
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(size: int) -> bytes:
    return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (CHUNK_BYTES, audio(CHUNK_BYTES)) for _ in range(size // CHUNK_BYTES))


@pytest.mark.parametrize(
    ("response", "then_close"),
    [
        pytest.param(answer(body=audio(LIMIT + 1)), False, id="announced"),
        pytest.param(answer(body=b"", Content_Length=str(2**40)), False, id="announced and never sent"),
        pytest.param(chunked(LIMIT + CHUNK_BYTES) + b"0\r\n\r\n", False, id="chunked"),
        pytest.param(chunked(LIMIT + CHUNK_BYTES), False, id="chunked without an end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + audio(LIMIT + 1), True, id="until the connection closes"),
    ],
)
def test_a_download_beyond_the_limit_ends_there(server: ScriptedServer, response: bytes, then_close: bool) -> None:
    server.answer, server.then_close = response, then_close
    received = 0
    with (
        pytest.raises(DownloadTooLargeError),
        client_for(server.port, max_bytes=LIMIT, require_length=False).download(ID, Channel.LEFT) as download,
    ):
        for chunk in download.chunks():
            received += len(chunk)
    assert received <= LIMIT


@pytest.mark.parametrize(
    "response", [answer(body=audio(LIMIT)), chunked(LIMIT) + b"0\r\n\r\n"], ids=["plain", "chunked"]
)
def test_a_download_of_exactly_the_limit_is_whole(server: ScriptedServer, response: bytes) -> None:
    server.answer = response
    assert len(fetch(server.port, max_bytes=LIMIT)) == LIMIT


def spec(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parents[3] / "specs" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


CLASSES: dict[str, type[ProviderError]] = {
    "authentication_failed": AuthenticationFailedError,
    "forbidden": ForbiddenError,
    "not_found": ProviderNotFoundError,
    "rate_limited": RateLimitedError,
    "refused": RefusedError,
    "download_failed": DownloadFailedError,
}


@pytest.mark.parametrize("row", spec("biztel_errors.csv"), ids=lambda row: row["type"])
def test_each_error_of_the_document_has_its_class(server: ScriptedServer, row: dict[str, str]) -> None:
    body = json.dumps({"name": row["name"], "type": row["type"], "message": row["message"]}).encode()
    server.answer = answer(400, body, Content_Type="application/json")
    with pytest.raises(CLASSES[row["class"]]) as refused:
        fetch(server.port)
    assert (refused.value.provider_code, refused.value.http_status) == (row["type"], 400)


@pytest.mark.parametrize(
    "row",
    [row for row in spec("biztel_statuses.csv") if row["status"] != "200"],
    ids=lambda row: row["status"],
)
def test_each_status_of_the_document_has_its_class_without_a_body(server: ScriptedServer, row: dict[str, str]) -> None:
    server.answer = answer(int(row["status"]))
    with pytest.raises(CLASSES[row["class"]]):
        fetch(server.port)


def test_a_rate_limit_keeps_its_retry_after(server: ScriptedServer) -> None:
    server.answer = answer(429, Retry_After="7")
    with pytest.raises(RateLimitedError) as limited:
        fetch(server.port)
    assert limited.value.retry_after_s == 7.0


def test_a_long_error_body_is_read_in_part(server: ScriptedServer) -> None:
    server.answer = b"HTTP/1.1 404 X\r\nContent-Length: 1000000000\r\n\r\n" + b" " * 20_000
    with pytest.raises(ProviderNotFoundError):
        fetch(server.port)


def test_a_redirect_is_not_followed(server: ScriptedServer) -> None:
    with ScriptedServer(answer(body=FRAME)) as other:
        server.answer = answer(302, Location=f"{other.origin}/")
        with pytest.raises(DownloadFailedError):
            fetch(server.port)
        assert other.connections == 0


def test_a_failed_request_is_not_repeated(server: ScriptedServer) -> None:
    for status in (401, 404, 429, 500):
        server.requests.clear()
        server.answer = answer(status)
        with pytest.raises(ProviderError):
            fetch(server.port)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "recording_id",
    ["", "..", "../a", "a/b", "a?b", "a%2fb", "a\r\nX: y", "あ"],
    ids=describe_row,
)
def test_an_invalid_id_is_never_put_into_a_path(server: ScriptedServer, recording_id: str) -> None:
    with (
        pytest.raises(ValueError, match="id"),
        client_for(server.port).download(recording_id, Channel.LEFT),
    ):
        pass
    assert server.connections == 0


def test_a_reader_that_fails_closes_the_connection(server: ScriptedServer) -> None:
    client = client_for(server.port)
    with pytest.raises(KeyError), client.download(ID, Channel.LEFT):
        raise KeyError
    with client.download(ID, Channel.LEFT) as download:
        assert b"".join(download.chunks()) == FRAME
    assert server.connections == 2


def test_a_closed_port_means_not_sent() -> None:
    with ScriptedServer() as gone:
        port = gone.port
    client = client_for(port)
    with pytest.raises(NotSentError):
        client.open()
    with pytest.raises(NotSentError), client.download(ID, Channel.LEFT):
        pass


@pytest.mark.parametrize(
    "garbled",
    [b"", b"HTTP/1.1 200 OK\r\nno colon\r\n", answer(500, b"canary-body")],
    ids=["nothing", "no colon", "error"],
)
def test_errors_and_logs_show_no_token_host_or_body(caplog: pytest.LogCaptureFixture, garbled: bytes) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(garbled, then_close=True) as server:
        with pytest.raises(ProviderError) as failed:
            fetch(server.port)
        text = "".join(traceback.format_exception_only(failed.value)) + repr(vars(failed.value)) + caplog.text
        cause = failed.value.__cause__
        text += "".join(traceback.format_exception_only(cause)) if cause else ""
    for canary in ("canary", ID, f":{server.port}"):
        assert canary not in text


def test_the_repr_of_a_token_hides_it() -> None:
    assert "canary" not in repr(ApiToken(value=TOKEN))


@pytest.mark.parametrize(
    "value",
    ["", "a b", "a\r\nX: y", "トークン", "a\x00", "Token a"],
    ids=describe_row,
)
def test_an_unusable_token_is_a_configuration_error(value: str) -> None:
    with pytest.raises(ConfigurationError):
        ApiToken(value=value)


@pytest.mark.parametrize(
    "base_url", ["http://a.invalid:8000", "https://a.invalid:8000/public", "https://u@a.invalid", ""]
)
def test_an_endpoint_other_than_https_is_a_configuration_error(base_url: str) -> None:
    with pytest.raises(ConfigurationError):
        BiztelClient(base_url=base_url, token=lambda: ApiToken(value=TOKEN))


def test_a_connection_to_another_origin_is_a_configuration_error() -> None:
    connection = Connection(origin="https://b.invalid:8000", provider="biztel")
    with pytest.raises(ConfigurationError):
        BiztelClient(base_url="https://a.invalid:8000", token=lambda: ApiToken(value=TOKEN), connection=connection)

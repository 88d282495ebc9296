"""A post goes to the checked address, follows nothing, reads no body, and ends with its deadline. (I35)"""

from __future__ import annotations

import datetime
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import urllib3.util.connection
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from switchboard.domain.errors import (
    HookAddressRefusedError,
    HookAnsweredError,
    HookGoneError,
    HookTimedOutError,
    HookUnreachedError,
)
from switchboard.providers.hook_posts import HookPosts
from tests.fault_proxy import Fault, FaultProxy, Listener, ScriptedServer

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
URL = "https://hooks.example.com/switchboard?a=%2F"
PUBLIC = "93.184.215.14"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(NO_CONTENT) as running:
        yield running


def post_to(server: ScriptedServer | FaultProxy, *, deadline_s: float = 5.0) -> None:
    posts = HookPosts(allow_loopback=True, deadline_s=deadline_s)
    posts.post(f"http://127.0.0.1:{server.port}/hooks", body=b"{}", headers={"webhook-id": "m1"})


def test_a_2xx_ends_the_post(server: ScriptedServer) -> None:
    post_to(server)
    head = server.requests[0].decode().lower()
    assert head.startswith("post /hooks http/1.1\r\n")
    assert f"\r\nhost: 127.0.0.1:{server.port}\r\n" in head
    assert "\r\nwebhook-id: m1\r\n" in head
    assert head.endswith("\r\n\r\n{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(server: ScriptedServer, status: int) -> None:
    location = f"http://127.0.0.1:{server.port}/elsewhere"
    server.answer = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(HookAnsweredError) as caught:
        post_to(server)
    assert caught.value.status == status
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        ("999999", 86_400.0),
        ("1" + "0" * 12, 86_400.0),
        ("9" * 10_000, 86_400.0),
        ("-5", None),
        ("Fri, 27 Nov 2026 00:00:00 GMT", None),
        ("1e9", None),
        ("NaN", None),
        ("\xb2", None),
        ("", None),
    ],
    ids=lambda value: str(value)[:14],
)
def test_a_pause_that_the_receiver_asks_for_is_read(server: ScriptedServer, value: str, expected: float | None) -> None:
    server.answer = f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(HookAnsweredError) as caught:
        post_to(server)
    assert caught.value.retry_after_s == expected


def test_410_means_that_the_receiver_is_gone(server: ScriptedServer) -> None:
    server.answer = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(HookGoneError):
        post_to(server)


def test_the_body_of_an_answer_is_not_read(server: ScriptedServer) -> None:
    """Of 100 MB only what the buffers of the connection hold is sent before the connection is closed."""
    sent = []

    class Endless(ScriptedServer):
        def _answer_requests(self, connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            try:
                for _ in range(1_000):
                    connection.sendall(b"." * 100_000)
                    sent.append(100_000)
            finally:
                sent.append(0)

    with Endless() as endless:
        post_to(endless)
    assert sum(sent) < 50_000_000


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000000000\r\n\r\n\x1f\x8b",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Encoding: gzip\r\nContent-Length: 1000000000\r\n\r\n\x1f\x8b",
    ],
    ids=["chunks without an end", "a compressed gigabyte", "no length", "a redirect with a body"],
)
def test_a_body_that_never_ends_delays_nothing(server: ScriptedServer, head: bytes) -> None:
    server.answer = head
    redirected = pytest.raises(HookAnsweredError) if b" 302 " in head else nullcontext()
    with redirected:
        post_to(server)  # the server is silent from then on: who reads meets the deadline


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000,
        b"hello\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 200 + NO_CONTENT,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 200 + NO_CONTENT,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + NO_CONTENT,
        b"HTTP/1.1 99999999999 OK\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nRetry-After: 5",
    ],
    ids=[
        "300 headers",
        "an endless header",
        "no HTTP",
        "200 times 100",
        "200 times 103",
        "101",
        "no status",
        "half a head",
    ],
)
def test_an_unreadable_answer_is_no_answer(server: ScriptedServer, answer: bytes) -> None:
    server.answer, server.then_close = answer, True
    with pytest.raises(HookUnreachedError):
        post_to(server)


def test_a_dripping_handshake_ends_with_the_deadline() -> None:
    class Dripping(Listener):
        def serve(self, connection: socket.socket) -> None:
            connection.sendall(b"\x16\x03\x03\x40\x00")  # the head of a TLS record of 16 KB
            while not self._stopping.wait(0.05):
                connection.sendall(b"\x00")

    with Dripping() as dripping:
        posts = HookPosts(resolve=lambda _host: [PUBLIC], deadline_s=0.6)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(HookTimedOutError):
            connect = urllib3.util.connection.create_connection
            here = ("127.0.0.1", dripping.port)
            patch.setattr(
                urllib3.util.connection, "create_connection", lambda _address, *args, **kw: connect(here, *args, **kw)
            )
            posts.post(URL, body=b"{}", headers={})


def test_a_dripping_header_ends_with_the_deadline(server: ScriptedServer) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50 + b"\r\n"
    with FaultProxy(server.port) as proxy:
        proxy.fault = Fault(drip_s=0.05)
        with pytest.raises(HookTimedOutError):
            post_to(proxy, deadline_s=0.4)


def test_silence_ends_with_the_deadline(server: ScriptedServer) -> None:
    server.answer = b""
    with pytest.raises(HookTimedOutError):
        post_to(server, deadline_s=0.3)


def test_a_refused_connection_is_no_answer() -> None:
    with ScriptedServer() as stopped:
        port = stopped.port
    with pytest.raises(HookUnreachedError):
        HookPosts(allow_loopback=True).post(f"http://127.0.0.1:{port}/", body=b"", headers={})


def test_proxies_of_the_environment_are_not_used(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert os.environ["http_proxy"]
    post_to(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        [PUBLIC, "10.0.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["2606:4700::1", "fe80::1"],
        ["64:ff9b::a00:1"],
        ["2002:a00:1::"],
        [*(f"93.184.215.{number}" for number in range(50)), "192.168.0.1"],
        ["no address"],
    ],
    ids=lambda addresses: addresses[-1],
)
def test_a_name_with_any_special_address_is_refused(addresses: list[str]) -> None:
    posts = HookPosts(resolve=lambda _host: addresses)
    with pytest.raises(HookAddressRefusedError):
        posts.check(URL)
    with pytest.raises(HookAddressRefusedError):
        posts.post(URL, body=b"", headers={})


@pytest.mark.parametrize("error", [socket.gaierror(), UnicodeError(), None], ids=["unknown", "no name", "empty answer"])
def test_a_name_without_an_address_is_not_reached(error: Exception | None) -> None:
    def resolve(_host: str) -> list[str]:
        if error is not None:
            raise error
        return []

    with pytest.raises(HookUnreachedError):
        HookPosts(resolve=resolve).check(URL)
    with pytest.raises(HookUnreachedError):
        HookPosts(resolve=resolve).post(URL, body=b"", headers={})


def test_a_name_that_is_never_resolved_ends_with_the_deadline() -> None:
    import threading

    stuck = threading.Event()

    def wait(_host: str) -> list[str]:
        stuck.wait(10)
        return []

    with pytest.raises(HookTimedOutError):
        HookPosts(resolve=wait, deadline_s=0.1).post(URL, body=b"", headers={})
    stuck.set()


def test_a_name_that_resolves_differently_later_is_refused_then() -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    posts = HookPosts(resolve=lambda _host: answers.pop(0))
    posts.check(URL)
    with pytest.raises(HookAddressRefusedError):
        posts.post(URL, body=b"", headers={})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for the name hooks.example.com and its key, in one file."""
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
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), critical=False)
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
def tls_server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ScriptedServer, list[Any]]]:
    """Serve TLS in the place of any address, and record the addresses and the names that a client asks for."""
    asked: list[Any] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with ScriptedServer(NO_CONTENT, tls=context) as running:
        connect = urllib3.util.connection.create_connection

        def connect_here(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
            asked.append(address)
            return connect(("127.0.0.1", running.port), *args, **kwargs)

        monkeypatch.setattr(urllib3.util.connection, "create_connection", connect_here)
        yield running, asked


def test_the_checked_address_is_connected_with_the_name_in_sni_and_host(
    tls_server: tuple[ScriptedServer, list[Any]], certificate: Path
) -> None:
    running, asked = tls_server
    resolved = []

    def resolve(host: str) -> list[str]:
        resolved.append(host)
        return [PUBLIC]

    posts = HookPosts(resolve=resolve, tls_context=ssl.create_default_context(cafile=certificate))
    posts.post(URL, body=b"{}", headers={})

    assert resolved == ["hooks.example.com"]
    assert asked == [(PUBLIC, 443), "hooks.example.com"]
    head = running.requests[0].decode().lower()
    assert head.startswith("post /switchboard?a=%2f http/1.1\r\n")
    assert "\r\nhost: hooks.example.com\r\n" in head


@pytest.mark.parametrize("trusted", [True, False], ids=["for another name", "untrusted"])
def test_nothing_is_posted_to_a_server_with_a_wrong_certificate(
    tls_server: tuple[ScriptedServer, list[Any]], certificate: Path, *, trusted: bool
) -> None:
    running, _ = tls_server
    context = ssl.create_default_context(cafile=certificate) if trusted else None
    posts = HookPosts(resolve=lambda _host: [PUBLIC], tls_context=context)
    with pytest.raises(HookUnreachedError):
        posts.post("https://other.example.com/" if trusted else URL, body=b"{}", headers={})
    assert running.requests == []


@pytest.mark.parametrize("error", [HookAnsweredError(500), HookGoneError(410), HookUnreachedError("no answer")])
def test_an_error_shows_neither_address_nor_answer(error: Exception) -> None:
    assert "example" not in str(error)
    assert "http" not in str(error)

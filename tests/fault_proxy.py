"""Serve scripted answers, and break a connection at any byte between a client and a server, both on 127.0.0.1."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

POLL_S = 0.05
SEND_S = 30.0  # the reader of a large answer decides how long it takes
Ending = Literal["close", "reset", "stall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a connection.

    `request_bytes` and `response_bytes` pass in each direction (None: all), and then the connection ends with `ending`.
    `delay_s` passes before the first byte of the answer, `drip_s` after each of its bytes.
    """

    request_bytes: int | None = None
    response_bytes: int | None = None
    ending: Ending = "close"
    delay_s: float = 0.0
    drip_s: float = 0.0


class Listener(ABC):
    """A server on a free port of 127.0.0.1, with a thread for each connection, while its context is open."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0

    @property
    def origin(self) -> str:
        """The server's scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stopping.is_set():
            return
        self._stopping.set()
        for connection in self._open:
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        with socket.create_connection(("127.0.0.1", self.port)):  # ends the wait for a connection
            for thread in self._threads:
                thread.join()
        self._socket.close()

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Serve one connection, which is closed afterwards."""

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._stopping.is_set():
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve(connection)


class ScriptedServer(Listener):
    """A server that answers every whole request with the bytes in `answer`, and then waits for the next or closes."""

    def __init__(self, answer: bytes = b"", *, then_close: bool = False, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.then_close = then_close
        self.requests: list[bytes] = []
        self._tls = tls

    def serve(self, connection: socket.socket) -> None:
        if self._tls:
            with self._tls.wrap_socket(connection, server_side=True) as tls_connection:
                self._answer_requests(tls_connection)
        else:
            self._answer_requests(connection)

    def _answer_requests(self, connection: socket.socket) -> None:
        connection.settimeout(POLL_S)
        unread = b""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                data = connection.recv(65536)
                if not data:
                    return
                unread += data
            if not is_whole(unread):
                continue
            self.requests.append(unread)
            unread = b""
            connection.settimeout(SEND_S)
            connection.sendall(self.answer)
            connection.settimeout(POLL_S)
            if self.then_close:
                return


class FaultProxy(Listener):
    """A proxy that passes bytes to `upstream_port` as far as `fault` allows. A test sets `fault` between exchanges."""

    def __init__(self, upstream_port: int) -> None:
        super().__init__()
        self._upstream_port = upstream_port
        self.fault = Fault()

    def serve(self, connection: socket.socket) -> None:
        fault = self.fault
        with socket.create_connection(("127.0.0.1", self._upstream_port)) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._relay(connection, upstream, fault)
            if fault.ending == "stall":
                self._stopping.wait()
            elif fault.ending == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _relay(self, client: socket.socket, upstream: socket.socket, fault: Fault) -> None:
        bytes_left = {client: fault.request_bytes, upstream: fault.response_bytes}
        peers = {client: upstream, upstream: client}
        delay_s = fault.delay_s
        while not self._stopping.is_set():
            for source in select.select(list(bytes_left), [], [], POLL_S)[0]:
                data = source.recv(65536)
                if source is upstream and data:
                    self._stopping.wait(delay_s)
                    delay_s = 0.0
                limit = bytes_left[source]
                passed = data if limit is None else data[:limit]
                self._pass_on(passed, peers[source], fault.drip_s if source is upstream else 0.0)
                if not data or len(passed) < len(data):
                    return
                if limit is not None:
                    bytes_left[source] = limit - len(passed)

    def _pass_on(self, data: bytes, to: socket.socket, drip_s: float) -> None:
        if not drip_s:
            to.sendall(data)
            return
        for byte in data:
            to.sendall(bytes([byte]))
            if self._stopping.wait(drip_s):
                return


def is_whole(request: bytes) -> bool:
    """Return whether an HTTP/1.1 request is complete: its head has ended, and its body has its Content-Length."""
    head, end, body = request.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(end) and len(body) >= sum(map(int, lengths))

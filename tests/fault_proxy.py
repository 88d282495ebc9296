"""A scripted server and a proxy that breaks things between it and a client, byte by byte, both on 127.0.0.1."""

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
SEND_S = 30.0  # a large answer takes as long as its reader does
Ending = Literal["close", "reset", "stall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong: how many bytes pass in each direction (None: all), and how it ends after that.

    `delay_s` passes before the first byte of the answer, `drip_s` after each byte of it.
    """

    request_bytes: int | None = None
    response_bytes: int | None = None
    ending: Ending = "close"
    delay_s: float = 0.0
    drip_s: float = 0.0


class Listener(ABC):
    """Accepts on a free port of 127.0.0.1 and serves each connection in a thread of its own, until it is left."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(POLL_S)
        self.port: int = self._listening.getsockname()[1]
        self.connections = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._listening.close()

    @abstractmethod
    def serve(self, connected: socket.socket) -> None:
        """What is done with one connection; it is closed afterwards."""

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                connected, _ = self._listening.accept()
                self.connections += 1
                self._start(self._serve, connected)

    def _serve(self, connected: socket.socket) -> None:
        with connected, contextlib.suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve(connected)


class ScriptedServer(Listener):
    """Answers every whole request with the bytes in `answer`, then waits for the next one or closes."""

    def __init__(self, answer: bytes = b"", *, then_close: bool = False, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.then_close = then_close
        self.requests: list[bytes] = []
        self._tls = tls

    def serve(self, connected: socket.socket) -> None:
        if self._tls:
            with self._tls.wrap_socket(connected, server_side=True) as secured:
                self._converse(secured)
        else:
            self._converse(connected)

    def _converse(self, connected: socket.socket) -> None:
        connected.settimeout(POLL_S)
        heard = b""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                more = connected.recv(65536)
                if not more:
                    return
                heard += more
            if not is_whole(heard):
                continue
            self.requests.append(heard)
            heard = b""
            connected.settimeout(SEND_S)
            connected.sendall(self.answer)
            connected.settimeout(POLL_S)
            if self.then_close:
                return


class FaultProxy(Listener):
    """Passes bytes on to `upstream_port` as far as `fault` lets it. Set `fault` between exchanges."""

    def __init__(self, upstream_port: int) -> None:
        super().__init__()
        self._upstream_port = upstream_port
        self.fault = Fault()

    def serve(self, connected: socket.socket) -> None:
        fault = self.fault
        with socket.create_connection(("127.0.0.1", self._upstream_port)) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._relay(connected, upstream, fault)
            if fault.ending == "stall":
                self._stopping.wait()
            elif fault.ending == "reset":
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _relay(self, client: socket.socket, upstream: socket.socket, fault: Fault) -> None:
        left = {client: fault.request_bytes, upstream: fault.response_bytes}
        other = {client: upstream, upstream: client}
        delay_s = fault.delay_s
        while not self._stopping.is_set():
            for source in select.select(list(left), [], [], POLL_S)[0]:
                data = source.recv(65536)
                if source is upstream and data:
                    self._stopping.wait(delay_s)
                    delay_s = 0.0
                limit = left[source]
                passed = data if limit is None else data[:limit]
                self._pass_on(passed, other[source], fault.drip_s if source is upstream else 0.0)
                if not data or len(passed) < len(data):
                    return
                if limit is not None:
                    left[source] = limit - len(passed)

    def _pass_on(self, data: bytes, to: socket.socket, drip_s: float) -> None:
        if not drip_s:
            to.sendall(data)
            return
        for byte in data:
            to.sendall(bytes([byte]))
            if self._stopping.wait(drip_s):
                return


def is_whole(request: bytes) -> bool:
    """The head of an HTTP/1.1 request has ended, and as many bytes as it announces follow."""
    head, end, body = request.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(end) and len(body) >= sum(map(int, lengths))

"""A threading HTTP server that knows its connections, so that stopping it leaves no thread and no socket."""

import contextlib
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class TrackedServer(ThreadingHTTPServer):
    """One daemon thread a connection; `close_and_join` ends them all."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], *, tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen on `address`, for HTTPS when given a context."""
        self._tls = tls
        self._live: list[tuple[socket.socket, threading.Thread]] = []
        self._to_reset: set[socket.socket] = set()
        super().__init__(address, handler)

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        host, port = self.server_address[:2]
        return f"{'http' if self._tls is None else 'https'}://{host!s}:{port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; a handshake is left to its own thread, so that none waits for another's."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def reset_on_close(self, connection: socket.socket) -> None:
        """End `connection` with a TCP reset once its handler is done."""
        self._to_reset.add(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="simulator-connection",
            daemon=True,
        )
        self._live = [(one, its) for one, its in self._live if its.is_alive()]
        thread.start()
        self._live.append((request, thread))

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; one to be reset without the half-close, which would announce an orderly end."""
        if request in self._to_reset:
            self._to_reset.discard(request)
            request.close()
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet when the client went away; the standard library's trace is for our own mistakes."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close_and_join(self) -> None:
        """Close what is open and join every thread. Call after `shutdown`."""
        for connection, thread in self._live:
            with contextlib.suppress(OSError):  # already closed by the other side
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.server_close()

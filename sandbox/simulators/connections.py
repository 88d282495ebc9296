"""Tracks the connections of a threading HTTP server, so that stopping it leaves no thread and no socket."""

import contextlib
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class TrackedServer(ThreadingHTTPServer):
    """A server with one daemon thread for each connection; `close_and_join` ends them all."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], *, tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen on `address`, for HTTPS if `tls` is given."""
        self._tls = tls
        self._connections: list[tuple[socket.socket, threading.Thread]] = []
        self._to_reset: set[socket.socket] = set()
        super().__init__(address, handler)

    @property
    def origin(self) -> str:
        """The scheme, host and port."""
        host, port = self.server_address[:2]
        return f"{'http' if self._tls is None else 'https'}://{host!s}:{port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection.

        The TLS handshake is left to the connection's own thread, so that no connection waits for another one's.
        """
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def reset_on_close(self, connection: socket.socket) -> None:
        """End `connection` with a TCP reset once its handler is done."""
        self._to_reset.add(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        new_thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="simulator-connection",
            daemon=True,
        )
        self._connections = [(connection, thread) for connection, thread in self._connections if thread.is_alive()]
        new_thread.start()
        self._connections.append((request, new_thread))

    def shutdown_request(self, request: Any) -> None:
        """Close a connection.

        One to be reset is closed without the half-close, which would announce an orderly end.
        """
        if request in self._to_reset:
            self._to_reset.discard(request)
            request.close()
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when the client went away; print the trace of any other error, which is a mistake here."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close_and_join(self) -> None:
        """Close every open connection and join every thread. Call it after `shutdown`."""
        for connection, thread in self._connections:
            with contextlib.suppress(OSError):  # the client closed it first
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.server_close()

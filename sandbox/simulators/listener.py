"""Runs a server's thread, and ends it without leaving a connection or a thread."""

import contextlib
import socket
import threading

from sandbox.simulators.connections import TrackedServer


class Listener:
    """A thread that accepts connections between `start` and `stop`."""

    def __init__(self) -> None:
        self._server: TrackedServer | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self, server: TrackedServer) -> None:
        """Accept connections of `server`, which listens already."""
        self._server = server
        self._thread = threading.Thread(target=self._accept, args=(server,), name="simulator-accept", daemon=True)
        self._thread.start()

    @property
    def is_listening(self) -> bool:
        """True from `start` to `stop`."""
        return self._server is not None

    def stop(self) -> None:
        """Close every connection and join every thread."""
        if self._server is None or self._thread is None:
            return
        self._stopping = True
        # The thread waits for a connection, and so this one ends it.
        host, port = self._server.server_address[:2]
        with contextlib.suppress(OSError), socket.create_connection((str(host), port)):
            self._thread.join()
        self._server.close_and_join()
        self._server = self._thread = None

    @property
    def origin(self) -> str:
        """The scheme, host and port.

        Raises:
            RuntimeError: when it is not listening.
        """
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        return self._server.origin

    def _accept(self, server: TrackedServer) -> None:
        while not self._stopping:
            server.handle_request()

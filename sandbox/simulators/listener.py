"""Runs a server's thread, and ends it without leaving a connection or a thread."""

import threading
from typing import Final

from sandbox.simulators.connections import TrackedServer

# The interval at which serve_forever checks whether it should end.
_POLL_S: Final = 0.02


class Listener:
    """A thread that accepts connections between `start` and `stop`."""

    def __init__(self) -> None:
        self._server: TrackedServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, server: TrackedServer) -> None:
        """Accept connections of `server`, which listens already."""
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_POLL_S,), name="simulator-accept", daemon=True
        )
        self._thread.start()

    @property
    def is_listening(self) -> bool:
        """True from `start` to `stop`."""
        return self._server is not None

    def stop(self) -> None:
        """Close every connection and join every thread."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
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

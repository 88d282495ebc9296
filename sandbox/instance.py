"""Allows one sandbox a directory: its process holds a lock, by which another shell finds and ends it."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxError

_POLL_S: Final = 0.1
_KILL_PATIENCE_S: Final = 1.0


@contextmanager
def only_instance(process_id_file: Path) -> Iterator[None]:
    """Hold the directory's lock while the block runs.

    The kernel releases the lock when the process ends, even if it is killed. A file that it left behind never looks
    like a running sandbox.

    Raises:
        SandboxError: when another process holds the lock.
    """
    process_id_file.parent.mkdir(parents=True, exist_ok=True)
    with process_id_file.open("a+") as lock:
        if not _try_lock(lock.fileno()):
            raise SandboxError(
                f"A sandbox is already running here (process {_read_process_id(process_id_file)}). "
                "Stop it with: make stop"
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def stop_instance(process_id_file: Path, *, patience_s: float = 7.0) -> bool:
    """End the sandbox of this directory, wait until it is gone, and return whether there was one.

    After `patience_s` the process is killed; its emulator and Lambda workers then end by themselves. Both waits
    together end within ten seconds. The next start removes the files that are left.

    Raises:
        SandboxError: when the process does not end.
    """
    if not is_running(process_id_file):
        return False
    _signal(process_id_file, signal.SIGTERM)
    if not _wait_until_gone(process_id_file, patience_s):
        _signal(process_id_file, signal.SIGKILL)
        if not _wait_until_gone(process_id_file, _KILL_PATIENCE_S):
            raise SandboxError(f"Process {_read_process_id(process_id_file)} does not end. End it with: kill -9")
    return True


def is_running(process_id_file: Path) -> bool:
    """Return whether a process holds the lock."""
    if not process_id_file.exists():
        return False
    with process_id_file.open("a+") as lock:
        return not _try_lock(lock.fileno())


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signal(process_id_file: Path, number: signal.Signals) -> None:
    process_id = _read_process_id(process_id_file)
    if process_id is not None:
        with suppress(ProcessLookupError):
            os.kill(process_id, number)


def _wait_until_gone(process_id_file: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not is_running(process_id_file):
            return True
        time.sleep(_POLL_S)
    return False


def _read_process_id(process_id_file: Path) -> int | None:
    text = process_id_file.read_text().strip()
    return int(text) if text.isdecimal() else None

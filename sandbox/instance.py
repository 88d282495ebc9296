"""One sandbox per directory: the lock its process holds while it lives, and how another shell ends it."""

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


@contextmanager
def only_instance(process_id_file: Path) -> Iterator[None]:
    """Hold the directory's lock for as long as the block runs.

    The kernel drops the lock with the process, however it ends, so a file left behind never looks like a running
    sandbox. Raises SandboxError when another process holds it.
    """
    process_id_file.parent.mkdir(parents=True, exist_ok=True)
    with process_id_file.open("a+") as lock:
        if not _try_lock(lock.fileno()):
            raise SandboxError(
                f"A sandbox is already running here (process {_read(process_id_file)}). End it with: make stop"
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def stop_instance(process_id_file: Path, *, patience_s: float = 60.0) -> bool:
    """End the sandbox of this directory and wait until it is gone; return whether there was one.

    After `patience_s` the process is killed outright: its emulator and Lambda workers then end by themselves. Removing
    what many workers unpacked takes longest, and what is left of it the next start has to remove.
    """
    if not is_running(process_id_file):
        return False
    _signal(process_id_file, signal.SIGTERM)
    if not _gone(process_id_file, patience_s):
        _signal(process_id_file, signal.SIGKILL)
        if not _gone(process_id_file, patience_s):
            raise SandboxError(f"Process {_read(process_id_file)} does not end.")
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
    process_id = _read(process_id_file)
    if process_id is not None:
        with suppress(ProcessLookupError):
            os.kill(process_id, number)


def _gone(process_id_file: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not is_running(process_id_file):
            return True
        time.sleep(_POLL_S)
    return False


def _read(process_id_file: Path) -> int | None:
    text = process_id_file.read_text().strip()
    return int(text) if text.isdecimal() else None

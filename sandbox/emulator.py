"""Runs the AWS emulator's process: on 127.0.0.1, without this user's environment, and ended with all its children."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxError
from sandbox.paths import SandboxPaths

LOOPBACK: Final = "127.0.0.1"
REGION: Final = "ap-northeast-1"
ACCESS_KEY: Final = "test"
"""The access key id of the emulated account's root user, and also its secret access key."""

_POLL_S: Final = 0.03
_START_TIMEOUT_S: Final = 90.0
_FREE_PORT_ATTEMPTS: Final = 3


class Emulator:
    """A running emulator. Its state is in its memory and is lost when it stops."""

    def __init__(self, *, process: "subprocess.Popen[bytes]", port: int, log: Path, temporary: Path) -> None:
        self._process = process
        self._log = log
        self._temporary = temporary
        self.url = f"http://{LOOPBACK}:{port}"
        self._port = port

    @classmethod
    def start(cls, *, python: Path, paths: SandboxPaths, port: int | None) -> "Emulator":
        """Start the emulator on `port`, or on a free port, and return it once it answers.

        Raises:
            SandboxError: when its environment is missing, the port is taken, or it does not answer.
        """
        if not python.exists():
            raise SandboxError(f"{python} is missing. Create the environments with: make run")
        attempts = 1 if port else _FREE_PORT_ATTEMPTS
        while True:
            attempts -= 1
            emulator = cls._spawn(python=python, paths=paths, port=port or find_free_port())
            try:
                emulator._wait_until_ready()
            except SandboxError:
                emulator.stop()
                # Another process may have taken the port after it was found free.
                if not attempts:
                    raise
            except BaseException:
                emulator.stop()
                raise
            else:
                return emulator

    @classmethod
    def _spawn(cls, *, python: Path, paths: SandboxPaths, port: int) -> "Emulator":
        # What is there belonged to a process that was killed.
        shutil.rmtree(paths.temporary, ignore_errors=True)
        paths.temporary.mkdir(parents=True)
        with paths.emulator_log.open("wb") as log:
            process = subprocess.Popen(
                [python, "-P", Path(__file__).with_name("watchdog.py"), "ministack"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=paths.temporary,
                env=_create_environment(port, paths.temporary),
                start_new_session=True,
            )
        return cls(process=process, port=port, log=paths.emulator_log, temporary=paths.temporary)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise SandboxError(
                    f"The AWS emulator ended while it started. Is the port taken? Its log:\n{self._last_lines()}"
                )
            if self._is_healthy():
                return
            time.sleep(_POLL_S)
        raise SandboxError(
            f"The AWS emulator did not answer on {self.url} within {_START_TIMEOUT_S:.0f} seconds. Run it again. "
            f"Its log:\n{self._last_lines()}"
        )

    def wait_for_end(self) -> None:
        """Block until the process ends, which it never does by itself.

        Raises:
            SandboxError: always, because the end is unexpected.
        """
        self._process.wait()
        raise SandboxError(
            f"The AWS emulator ended unexpectedly. Start the sandbox again. Its log:\n{self._last_lines()}"
        )

    def stop(self) -> None:
        """End the emulator and its Lambda workers, and remove their files."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def find_free_port() -> int:
    """Return a port of 127.0.0.1 on which no process listens at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _create_environment(port: int, temporary: Path) -> dict[str, str]:
    # Handlers inherit all of this. It is written out and not copied: no profile, proxy or key of this user gets in.
    return {
        "PATH": os.defpath,
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        # The emulator checks every call against the policies of the function's role.
        "AUTH": "true",
        # These services are not used, and their listeners would open on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }

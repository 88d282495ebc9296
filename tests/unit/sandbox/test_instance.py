"""A directory has one sandbox, another shell finds it, and no process outlives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.instance import is_running, only_instance, stop_instance
from sandbox.paths import REPOSITORY

HOLD_THE_LOCK = """
import signal, sys
from pathlib import Path
from sandbox.instance import only_instance
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with only_instance(Path(sys.argv[1])):
    print("up", flush=True)
    signal.pause()
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.pid"


class Holder:
    """Another process that holds the lock until the test ends it."""

    def __init__(self, lock: Path, kind: str = "polite") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_LOCK, lock, kind], stdout=subprocess.PIPE, cwd=REPOSITORY, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def end(self) -> None:
        with self.process:
            self.process.kill()


@pytest.fixture
def holder(lock: Path) -> Iterator[Holder]:
    other = Holder(lock)
    yield other
    other.end()


def test_a_second_sandbox_in_the_same_directory_is_refused(lock: Path, holder: Holder) -> None:
    with pytest.raises(SandboxError, match=f"process {holder.process.pid}"), only_instance(lock):
        pytest.fail("two sandboxes")


def test_another_shell_ends_the_sandbox(lock: Path, holder: Holder) -> None:
    assert stop_instance(lock)
    assert holder.process.wait() == -signal.SIGTERM
    assert not is_running(lock)


def test_a_sandbox_that_ignores_sigterm_is_killed(lock: Path) -> None:
    stubborn = Holder(lock, "stubborn")

    assert stop_instance(lock, patience_s=0.2)

    assert stubborn.process.wait() == -signal.SIGKILL
    stubborn.end()


def test_the_file_of_a_killed_process_is_no_running_sandbox(lock: Path, holder: Holder) -> None:
    holder.end()

    assert lock.read_text().strip() == str(holder.process.pid)
    assert not is_running(lock)
    assert not stop_instance(lock)
    with only_instance(lock):
        assert is_running(lock)
        assert lock.read_text().strip() == str(os.getpid())


def test_ending_a_sandbox_needs_no_aws_client(tmp_path: Path) -> None:
    command = "import sys; sys.argv[1:] = ['down']; from sandbox.__main__ import main; main(); print(*sys.modules)"

    ended = subprocess.run(
        [sys.executable, "-c", command],
        cwd=REPOSITORY,
        env={**os.environ, "SANDBOX_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "No sandbox is running." in ended.stdout
    assert "sandbox.instance" in ended.stdout.split()
    assert not {"boto3", "samtranslator", "sandbox.stack"} & set(ended.stdout.split())


def test_an_unused_directory_has_no_sandbox(lock: Path) -> None:
    assert not stop_instance(lock)
    assert not lock.exists()


def test_a_group_under_the_watchdog_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(
        "import signal, subprocess, sys\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print('up', flush=True)\n"
        "signal.pause()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", REPOSITORY / "sandbox" / "watchdog.py", "busy"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"

    process.communicate()  # closes its input, and reads until the grandchild has closed its output too

    assert process.returncode == -signal.SIGKILL

"""A sandbox ends within seconds, and the files that its Lambda workers unpacked do not pile up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import emulator
from sandbox.emulator import Emulator, remove_folder, remove_leftovers


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp"
    for worker in range(3):
        unpacked = folder / f"worker-{worker}" / "layer_0"
        unpacked.mkdir(parents=True)
        (unpacked / "module.py").write_text("content")
    (folder / "loose").write_text("content")
    return folder


def stop(temporary: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], stdin=subprocess.PIPE, start_new_session=True
    )
    Emulator(process=process, port=0, log=temporary, temporary=temporary).stop()
    assert process.returncode is not None


def test_a_stop_removes_what_the_workers_unpacked(temporary: Path) -> None:
    stop(temporary)

    assert not temporary.exists()


def test_a_stop_without_time_left_removes_nothing(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "_REMOVAL_S", 0.0)

    stop(temporary)

    assert len(list(temporary.iterdir())) == 4


def test_a_removal_ends_between_two_workers_if_its_time_is_over(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(100))
    monkeypatch.setattr("sandbox.emulator.time.monotonic", lambda: float(next(seconds)))

    # The clock moves a second each time it is read: at the beginning, at the loop, and before each member.
    remove_folder(temporary, seconds=4)

    assert len(list(temporary.iterdir())) == 2


def test_a_start_removes_what_a_killed_process_left(temporary: Path) -> None:
    remove_leftovers(temporary).join()

    assert list(temporary.parent.iterdir()) == []


def test_a_start_finishes_the_removal_that_an_earlier_one_began(temporary: Path) -> None:
    half_removed = temporary.with_name("tmp.1.1.left")
    temporary.rename(half_removed)

    remove_leftovers(temporary).join()

    assert not half_removed.exists()


def test_a_start_frees_the_folder_before_the_removal_ends(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.emulator.shutil.rmtree", lambda *_, **__: None)

    remove_leftovers(temporary).join()

    assert not temporary.exists()
    assert len(list(temporary.parent.iterdir())) == 1


def test_a_first_start_has_nothing_to_remove(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "tmp").join()

    assert list(tmp_path.iterdir()) == []

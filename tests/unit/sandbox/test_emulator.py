"""The files of Lambda workers do not pile up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sandbox.emulator import Emulator


def test_a_stop_removes_what_the_workers_unpacked(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    (temporary / "worker" / "code").mkdir(parents=True)
    (temporary / "worker" / "code" / "app.py").write_text("content")
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], stdin=subprocess.PIPE, start_new_session=True
    )

    Emulator(process=process, port=0, log=temporary, temporary=temporary).stop()

    assert process.returncode is not None
    assert not temporary.exists()

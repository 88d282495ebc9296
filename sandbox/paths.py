"""Holds the paths of a sandbox's files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
TEMPLATE: Final = REPOSITORY / "template.yaml"
EMULATOR_PYTHON: Final = REPOSITORY / ".venv" / "emulator" / "bin" / "python"

SHARED_CACHE: Final = REPOSITORY / ".sandbox" / "cache"
"""The layer's installed dependencies. They change with the lock file only, so every sandbox uses the same ones."""


@dataclass(frozen=True, slots=True)
class SandboxPaths:
    """The files of one sandbox. Two sandboxes can run at once if their roots differ."""

    root: Path

    @classmethod
    def from_environment(cls) -> "SandboxPaths":
        """Return the paths below the folder that SANDBOX_DIR names, by default `.sandbox` in the repository."""
        return cls(Path(os.environ.get("SANDBOX_DIR") or REPOSITORY / ".sandbox").resolve())

    @property
    def endpoints(self) -> Path:
        """The file with the addresses of a running sandbox."""
        return self.root / "endpoints.json"

    @property
    def process_id(self) -> Path:
        """The file with the id of the sandbox's process, which holds a lock on it."""
        return self.root / "sandbox.pid"

    @property
    def emulator_log(self) -> Path:
        """The output of the AWS emulator."""
        return self.root / "emulator.log"

    @property
    def simulators_log(self) -> Path:
        """The log with a line for each request that a simulator received and each callback that it sent."""
        return self.root / "simulators.log"

    @property
    def artifacts(self) -> Path:
        """The folder with the layer's package and the functions' zips, named by their contents."""
        return self.root / "artifacts"

    @property
    def temporary(self) -> Path:
        """The folder into which the emulator unpacks. Its stop removes it, or the next start."""
        return self.root / "tmp"

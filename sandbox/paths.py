"""Where a sandbox keeps its files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
TEMPLATE: Final = REPOSITORY / "template.yaml"
EMULATOR_PYTHON: Final = REPOSITORY / ".venv" / "emulator" / "bin" / "python"

SHARED_CACHE: Final = REPOSITORY / ".sandbox" / "cache"
"""The layer's installed dependencies, which change with the lock file only: every sandbox uses the same."""


@dataclass(frozen=True, slots=True)
class SandboxPaths:
    """The files of one sandbox. Two sandboxes may run at once if their roots differ."""

    root: Path

    @classmethod
    def from_environment(cls) -> "SandboxPaths":
        """Return the directory named by SANDBOX_DIR, or `.sandbox` in the repository."""
        return cls(Path(os.environ.get("SANDBOX_DIR") or REPOSITORY / ".sandbox").resolve())

    @property
    def endpoints(self) -> Path:
        return self.root / "endpoints.json"

    @property
    def process_id(self) -> Path:
        return self.root / "sandbox.pid"

    @property
    def emulator_log(self) -> Path:
        return self.root / "emulator.log"

    @property
    def simulators_log(self) -> Path:
        """A line for each request a simulator got and each report it sent."""
        return self.root / "simulators.log"

    @property
    def artifacts(self) -> Path:
        """The zips of the layer and the functions, named by what is in them."""
        return self.root / "artifacts"

    @property
    def temporary(self) -> Path:
        """What the emulator unpacks: gone when it stops."""
        return self.root / "tmp"

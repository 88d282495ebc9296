"""The packages that a handler finds on Lambda: the layer's requirements and boto3, and no other installed package."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parent.parent
LAYER: Final = _ROOT / "layers" / "switchboard" / "python"
LIBRARIES: Final = Path(
    sysconfig.get_path("purelib", vars=dict.fromkeys(("base", "platbase"), str(_ROOT / ".venv/bench")))
)
"""The packages that are only compared with."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RUNTIME: Final = ("boto3",)


def link_packages(folder: Path) -> None:
    """Fill `folder` with links to those packages and their metadata.

    Some libraries look through all installed packages when they are imported. A cold start among the development
    packages says little about one on Lambda.
    """
    for top_level in _find_top_levels(_find_dependencies([*_read_locked_names(), *_RUNTIME])):
        link = folder / top_level.name
        if not link.exists():
            link.symlink_to(top_level)


def _read_locked_names() -> Iterator[str]:
    for line in (LAYER / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if (name := _NAME.match(line)) and "==" in line:
            yield name[0]


def _find_dependencies(names: Iterable[str]) -> set[str]:
    dependencies: set[str] = set()
    pending = list(names)
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        if name in dependencies:
            continue
        dependencies.add(name)
        for requirement in metadata.requires(name) or []:
            match = _NAME.match(requirement)
            if match and ";" not in requirement:
                pending.append(match[0])
    return dependencies


def _find_top_levels(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        distribution = metadata.distribution(name)
        root = Path(str(distribution.locate_file("")))
        first_parts = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in {"..", "__pycache__"}}
        yield from (root / part for part in sorted(first_parts))

"""Builds what the template deploys: the layer for the emulator's own Python, and one zip per function folder.

Everything is named by a hash of what went into it, so what has not changed is not built again.
"""

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxError

_FIRST_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
_DIGEST_LENGTH: Final = 16
_LEFT_OUT: Final = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".DS_Store"})


def build_layer(source: Path, *, python: Path, cache: Path, artifacts: Path) -> Path:
    """Return the zip of the layer whose `python/` is `source`: its package, and its requirements as locked.

    `cache` keeps the installed requirements. Raises SandboxError when they can't be installed.
    """
    version = _version(python)
    target = artifacts / f"layer-{_digest(source, version)}.zip"
    if not target.exists():
        dependencies = _install(source / "requirements.txt", python=python, version=version, cache=cache)
        with tempfile.TemporaryDirectory() as directory:
            staged = Path(directory) / "python"
            shutil.copytree(source, staged, ignore=shutil.ignore_patterns(*_LEFT_OUT))
            _compile(staged, python=python)
            _write_zip(target, [(folder, path) for folder in (dependencies, staged) for path in _all_files(folder)])
    _forget_others(target, "layer-*.zip")
    return target


def build_function(source: Path, *, artifacts: Path) -> Path:
    """Return the zip of one function's folder, as it is: functions bring no requirements of their own."""
    target = artifacts / f"function-{source.name}-{_digest(source)}.zip"
    if not target.exists():
        _write_zip(target, [(source, path) for path in _source_files(source)], prefix="")
    _forget_others(target, f"function-{source.name}-{'?' * _DIGEST_LENGTH}.zip")
    return target


def _version(python: Path) -> bytes:
    return subprocess.run([python, "-VV"], check=True, capture_output=True).stdout


def _install(requirements: Path, *, python: Path, version: bytes, cache: Path) -> Path:
    key = hashlib.sha256(version + requirements.read_bytes()).hexdigest()[:_DIGEST_LENGTH]
    installed = cache / f"dependencies-{key}"
    if installed.exists():
        return installed
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        staged = Path(directory) / "site"
        command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-compile", "--require-hashes", "--target", staged, "--requirement", requirements]
        pip = subprocess.run(command, check=False, capture_output=True, text=True)
        if pip.returncode:
            raise SandboxError(f"The layer's requirements can't be installed:\n{pip.stderr.strip()}")
        _compile(staged, python=python)
        # Renamed when complete, so that an interrupted installation is never taken for one. Another sandbox may have
        # been quicker; what it installed is the same.
        with contextlib.suppress(OSError):
            staged.rename(installed)
        if not installed.exists():
            raise SandboxError(f"The layer's requirements can't be put into {cache}.")
    return installed


def _compile(folder: Path, *, python: Path) -> None:
    # The emulator unpacks the layer for every worker it starts, with new modification times. Byte code that is not
    # checked against them is still used then, which halves a cold start.
    command: list[str | Path] = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder]
    compiled = subprocess.run(command, check=False, capture_output=True, text=True)
    if compiled.returncode:
        raise SandboxError(f"The layer does not compile:\n{compiled.stdout.strip()}")


def _all_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _source_files(folder: Path) -> list[Path]:
    return [p for p in _all_files(folder) if not _LEFT_OUT.intersection(p.relative_to(folder).parts)]


def _digest(folder: Path, start: bytes = b"") -> str:
    digest = hashlib.sha256(start)
    for path in _source_files(folder):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_DIGEST_LENGTH]


def _write_zip(target: Path, files: Iterable[tuple[Path, Path]], prefix: str = "python/") -> None:
    """Write `files`, each given with the folder its name is relative to."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    # Stored, not compressed: unpacking is part of every cold start here.
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
        for folder, path in files:
            member = zipfile.ZipInfo(f"{prefix}{path.relative_to(folder).as_posix()}", _FIRST_ZIP_DATE)
            member.external_attr = 0o644 << 16
            archive.writestr(member, path.read_bytes())
    unfinished.rename(target)


def _forget_others(current: Path, pattern: str) -> None:
    for other in current.parent.glob(pattern):
        if other != current:
            other.unlink()

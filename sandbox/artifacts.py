"""Builds what the template deploys: the layer's folders for the emulator's Python, and one zip a function folder.

An artifact is named by a hash of its contents, so an unchanged one is not built again.
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
_IGNORED_NAMES: Final = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".DS_Store"})


def build_layer(source: Path, *, python: Path, cache: Path, artifacts: Path) -> list[Path]:
    """Return the folders of the layer whose `python/` folder is `source`: its package and its locked requirements.

    Args:
        source: the layer's folder, with its `requirements.txt`.
        python: the interpreter for which the requirements are installed.
        cache: the folder with the installed requirements.
        artifacts: the folder for the copy of the package, which later changes of `source` do not touch.

    Raises:
        SandboxError: when the requirements can't be installed or the layer does not compile.
    """
    version = _read_version(python)
    target = artifacts / f"layer-{_hash_folder(source, version)}"
    if not target.exists():
        artifacts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=artifacts) as directory:
            staged = Path(directory) / "python"
            shutil.copytree(source, staged, ignore=shutil.ignore_patterns(*_IGNORED_NAMES))
            _compile(staged, target, python=python)
            staged.rename(target)
    _remove_older(target, "layer-*")
    return [target, _install(source / "requirements.txt", python=python, version=version, cache=cache)]


def build_function(source: Path, *, artifacts: Path) -> Path:
    """Return the zip of one function's folder, without change: functions have no requirements of their own."""
    target = artifacts / f"function-{source.name}-{_hash_folder(source)}.zip"
    if not target.exists():
        _write_zip(target, source, _list_sources(source))
    _remove_older(target, f"function-{source.name}-{'?' * _DIGEST_LENGTH}.zip")
    return target


def _read_version(python: Path) -> bytes:
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
            raise SandboxError(
                f"The layer's requirements can't be installed. Check the network, then try again:\n{pip.stderr.strip()}"
            )
        _compile(staged, installed, python=python)
        # Renamed when complete, so an interrupted installation is never used. If another sandbox was faster, the
        # rename fails, and its installation is the same.
        with contextlib.suppress(OSError):
            staged.rename(installed)
        if not installed.exists():
            raise SandboxError(f"The layer's requirements can't be moved to {cache}. Make this folder writable.")
    return installed


def _compile(folder: Path, target: Path, *, python: Path) -> None:
    # As for the layer that `make build` makes: no container compares the byte code with the sources.
    command: list[str | Path] = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", folder, "-p", target, folder]
    compiled = subprocess.run(command, check=False, capture_output=True, text=True)
    if compiled.returncode:
        raise SandboxError(f"The layer does not compile. Correct this file:\n{compiled.stdout.strip()}")


def _list_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _list_sources(folder: Path) -> list[Path]:
    return [path for path in _list_files(folder) if not _IGNORED_NAMES.intersection(path.relative_to(folder).parts)]


def _hash_folder(folder: Path, start: bytes = b"") -> str:
    digest = hashlib.sha256(start)
    for path in _list_sources(folder):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_DIGEST_LENGTH]


def _write_zip(target: Path, folder: Path, files: Iterable[Path]) -> None:
    """Write `files` of `folder`; the archive has the paths relative to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for path in files:
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _FIRST_ZIP_DATE)
            member.external_attr = 0o644 << 16
            archive.writestr(member, path.read_bytes())
    unfinished.rename(target)


def _remove_older(current: Path, pattern: str) -> None:
    for path in current.parent.glob(pattern):
        if path != current:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

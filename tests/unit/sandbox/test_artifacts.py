"""An artifact holds the sources of its folder, and an unchanged one is not built again."""

import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest

from sandbox import artifacts as builder
from sandbox.artifacts import build_function, build_layer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "send_sms"
    source.mkdir()
    (source / "app.py").write_text("def lambda_handler(): ...\n")
    return source


def test_a_functions_zip_has_no_cache_files(folder: Path, tmp_path: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "app.pyc").write_bytes(b"old")

    with zipfile.ZipFile(build_function(folder, artifacts=tmp_path / "artifacts")) as archive:
        assert archive.namelist() == ["app.py"]


def test_an_unchanged_function_is_not_built_again(folder: Path, tmp_path: Path) -> None:
    first = build_function(folder, artifacts=tmp_path)
    inode = first.stat().st_ino
    (folder / "app.py").touch()

    second = build_function(folder, artifacts=tmp_path)

    assert (second, second.stat().st_ino) == (first, inode)


def test_a_changed_functions_zip_replaces_only_its_old_one(folder: Path, tmp_path: Path) -> None:
    longer_name = folder.rename(folder.with_name("send_sms-later"))
    (tmp_path / "send_sms").mkdir()
    (tmp_path / "send_sms" / "app.py").write_text("old = True\n")
    artifacts = tmp_path / "artifacts"
    other_function = build_function(longer_name, artifacts=artifacts)
    old = build_function(tmp_path / "send_sms", artifacts=artifacts)
    (tmp_path / "send_sms" / "app.py").write_text("old = False\n")

    new = build_function(tmp_path / "send_sms", artifacts=artifacts)

    assert new != old
    assert set(artifacts.iterdir()) == {other_function, new}


def test_the_same_content_makes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    one = build_function(folder, artifacts=tmp_path / "one")
    (folder / "app.py").touch()
    other = build_function(folder, artifacts=tmp_path / "other")

    assert one.read_bytes() == other.read_bytes()


def test_a_layers_package_is_a_compiled_copy_that_keeps_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements"
    monkeypatch.setattr(builder, "_install", lambda *_, **__: requirements)
    source = tmp_path / "layer"
    source.mkdir()
    (source / "module.py").write_text("VALUE = 1\n")
    build = partial(build_layer, source, python=Path(sys.executable), cache=tmp_path, artifacts=tmp_path / "artifacts")

    package, installed = build()

    (source / "module.py").write_text("VALUE = 2\n")
    assert installed == requirements
    assert (package / "module.py").read_text() == "VALUE = 1\n"
    assert [path.name.split(".")[0] for path in package.glob("__pycache__/*.pyc")] == ["module"]
    newer, _ = build()
    assert newer != package
    assert list((tmp_path / "artifacts").iterdir()) == [newer]

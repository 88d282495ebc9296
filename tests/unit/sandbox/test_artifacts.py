"""What is uploaded is what the folder holds, and nothing is built twice."""

import zipfile
from pathlib import Path

import pytest

from sandbox.artifacts import build_function


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "send_sms"
    source.mkdir()
    (source / "app.py").write_text("def lambda_handler(): ...\n")
    return source


def test_a_function_is_zipped_without_what_its_tests_left_behind(folder: Path, tmp_path: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "app.pyc").write_bytes(b"old")

    with zipfile.ZipFile(build_function(folder, artifacts=tmp_path / "artifacts")) as archive:
        assert archive.namelist() == ["app.py"]


def test_an_unchanged_function_is_not_built_again(folder: Path, tmp_path: Path) -> None:
    first = build_function(folder, artifacts=tmp_path)
    built = first.stat()
    (folder / "app.py").touch()

    second = build_function(folder, artifacts=tmp_path)

    assert (second, second.stat().st_ino) == (first, built.st_ino)


def test_a_changed_function_replaces_the_zip_of_the_old_one_and_of_no_other(folder: Path, tmp_path: Path) -> None:
    longer_name = folder.rename(folder.with_name("send_sms-later"))
    (tmp_path / "send_sms").mkdir()
    (tmp_path / "send_sms" / "app.py").write_text("old = True\n")
    artifacts = tmp_path / "artifacts"
    kept = build_function(longer_name, artifacts=artifacts)
    old = build_function(tmp_path / "send_sms", artifacts=artifacts)
    (tmp_path / "send_sms" / "app.py").write_text("old = False\n")

    new = build_function(tmp_path / "send_sms", artifacts=artifacts)

    assert new != old
    assert set(artifacts.iterdir()) == {kept, new}


def test_the_same_content_makes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    one = build_function(folder, artifacts=tmp_path / "one")
    (folder / "app.py").touch()
    other = build_function(folder, artifacts=tmp_path / "other")

    assert one.read_bytes() == other.read_bytes()

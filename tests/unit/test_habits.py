"""What contributors rely on is true: one version everywhere, hooks and workflow at pinned versions, complete lists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import switchboard
from tests.translated_template import ROOT, resources_of

VERSION: Final[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").iterdir())
FORMS: Final = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
LAYER: Final = "layers/switchboard/python/switchboard/"
PROVIDERS: Final = r"(All|Development|(MediaSMS|BIZTEL|Baidu VMS)(, (MediaSMS|BIZTEL|Baidu VMS))*)"


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    [layer] = resources_of("AWS::Lambda::LayerVersion").values()
    [release] = re.findall(r"^## \[(.+?)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.MULTILINE)[:1]
    [supported] = re.findall(r"^\| (.+)\.x \| yes \|$", read("SECURITY.md"), re.MULTILINE)
    assert {
        VERSION,
        switchboard.__version__,
        yaml.safe_load(read("docs/openapi.yaml"))["info"]["version"],
        layer["Description"].split()[1],
        release,
    } == {VERSION}
    assert VERSION.rpartition(".")[0] == supported


def test_the_steps_of_the_upgrade_to_this_minor_version_are_written() -> None:
    major, minor, _ = VERSION.split(".")
    heading = f"## From {major}.{int(minor) - 1} to {major}.{minor}"
    assert heading in read("docs/upgrading.md").splitlines()


def hooks() -> list[dict[str, Any]]:
    [repository] = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    found: list[dict[str, Any]] = repository["hooks"]
    return found


def test_each_hook_has_the_version_of_the_lock_file() -> None:
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", read("requirements/dev.lock"), re.MULTILINE))
    pinned = [pin.split("==") for hook in hooks() for pin in hook.get("additional_dependencies", [])]
    assert len(pinned) == 5
    assert [[name, locked[name]] for name, _ in pinned] == pinned


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: str(hook["id"]))
def test_a_hook_runs_what_make_check_runs(hook: dict[str, Any]) -> None:
    entry = hook["entry"].replace("python tools/", "tools/").replace(" --force-exclude", "")
    command = re.search(r"detect-secrets-hook --baseline \S+|\S+( check| format)?$", entry)
    assert command is not None
    assert command.group() in read("Makefile")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_reads_only_and_pins_its_actions(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job and "timeout-minutes" in job for job in workflow["jobs"].values())
    for line in re.findall(r"uses: .*", text):
        assert re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    assert "secrets." not in text


def test_the_workflow_runs_everything_on_each_supported_python() -> None:
    jobs = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]
    minors = re.findall(r"^for minor in (.+); do$", read("tools/find_python.sh"), re.MULTILINE)[0].split()
    assert sorted(jobs["checks"]["strategy"]["matrix"]["python"]) == sorted(f"3.{minor}" for minor in minors)
    assert jobs["checks"]["env"] == {"PYTHON": "python${{ matrix.python }}"}
    assert jobs["checks"]["steps"][-1] == {"run": ".ci/run"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_for_no_personal_data(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    fields = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(fields) == len(set(fields)) > 0
    assert "Leave out telephone numbers, texts, codes, names and secrets." in form["body"][0]["attributes"]["value"]


def test_each_entry_of_the_changelog_begins_with_its_provider() -> None:
    text = read("CHANGELOG.md")
    entries = re.findall(r"^- .*", text, re.MULTILINE)
    assert [entry for entry in entries if not re.match(rf"- \*\*{PROVIDERS}:\*\* \S", entry)] == []
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    order = ["Security", "Changed", "Deprecated", "Removed", "Fixed", "Added"]
    assert headings == [name for name in order if name in headings]


def test_the_layer_is_typed_for_those_who_import_it() -> None:
    assert (ROOT / LAYER / "py.typed").read_bytes() == b""


def paths_of_a_provider() -> Iterator[str]:
    """Yield the patterns of docs/adding_a_provider.md for Baidu VMS, from the repository's root."""
    section = read("docs/adding_a_provider.md").partition("## The paths, in order\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", section, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    names = {"provider": "baidu_vms", "order": "voice_call", "verb": "place_call"}
    for _, cell in rows:
        for path in re.findall(r"`(.+?)`", cell):
            pattern = re.sub(r"<(\w+)>", lambda name: names[name[1]], path)
            pattern = pattern + "*" if pattern.endswith("/") else pattern
            yield pattern if (ROOT / pattern.partition("/")[0]).is_dir() else LAYER + pattern


def test_the_paths_of_a_provider_are_those_of_the_tree() -> None:
    roots = ("docs", "events", "functions", "layers", "sandbox", "tests")
    names = re.compile("baidu_vms|voice_call|place_call")
    files = [
        path.relative_to(ROOT).as_posix()
        for root in roots
        for path in (ROOT / root).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and names.search(path.relative_to(ROOT).as_posix())
    ]
    patterns = list(paths_of_a_provider())
    assert [path for path in files if not any(fnmatchcase(path, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatchcase(path, pattern) for path in files)] == []

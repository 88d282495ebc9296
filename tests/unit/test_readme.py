"""README.md and the pages under docs/ agree with the code, the template and the simulators."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
from itertools import takewhile
from typing import Final

import pytest

from sandbox.endpoints import Endpoints
from sandbox.simulators.baidu_vms import control as baidu_control
from sandbox.simulators.baidu_vms import errors as baidu_errors
from sandbox.simulators.baidu_vms import numbers as baidu_numbers
from sandbox.simulators.baidu_vms import templates as baidu_templates
from sandbox.simulators.biztel import control as biztel
from sandbox.simulators.biztel.faults import FaultKind as BiztelFaultKind
from sandbox.simulators.control import PREFIX
from sandbox.simulators.mediasms.control import ROUTES
from sandbox.simulators.mediasms.numbers import EVERY_OTHER_NUMBER, NUMBERS
from switchboard.domain.sms.messages import SmsState
from tests.translated_template import ROOT, source

CODE: Final = re.compile(r"`([^`]+)`")
PAGES: Final = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
)
PACKAGE: Final = ROOT / "layers/switchboard/python/switchboard"
PAGES_WITH_CODE_PATHS: Final = ("CONTRIBUTING.md", "docs/adding_a_provider.md", "docs/glossary.md", "docs/style.md")
CODE_PATH: Final = re.compile(r"([\w.]+/)+(\w+\.\w+)?")
BUCKET_PREFIXES: Final = {"bulk/", "quarantine/", "spool/"}


@cache
def text_of(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def table(*heading: str, page: str = "README.md") -> list[list[str]]:
    """Return the rows of the page's only table with this heading."""
    lines = text_of(page).splitlines()
    heading_line = f"| {' | '.join(heading)} |"
    assert lines.count(heading_line) == 1
    rows = takewhile(lambda line: line.startswith("|"), lines[lines.index(heading_line) + 2 :])
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def sections(page: str, *, level: int) -> list[tuple[str, str]]:
    """Return the title and the text of each section of a page with headings of this level."""
    parts = re.split(rf"^#{{{level}}} (.+)$", text_of(page), flags=re.MULTILINE)[1:]
    return [
        (title, re.split(rf"^#{{1,{level - 1}}} ", text, flags=re.MULTILINE)[0])
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def codes_in(cells: list[str]) -> list[str]:
    """Return every code span of some cells."""
    return [code for cell in cells for code in CODE.findall(cell)]


def anchors_of(page: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def error_text(error: baidu_errors.Error | None) -> str:
    """Return what README says about a template or a value that leads to this error."""
    return "called" if error is None else f"{error.code}: {error.message}"


def test_readme_lists_the_numbers_of_the_mediasms_simulator() -> None:
    simulated = {f"{number[:3]}-{number[3:7]}-{number[7:]}": script.meaning for number, script in NUMBERS.items()}

    assert dict(table("number", "what happens")) == {**simulated, "every other number": EVERY_OTHER_NUMBER.meaning}


def test_readme_lists_the_control_routes_of_the_mediasms_simulator() -> None:
    listed = codes_in([row[0] for row in table("request", "what for")])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in ROUTES]


def test_readme_lists_the_numbers_of_the_baidu_vms_simulator() -> None:
    numbers = {f"{n[:3]}-{n[3:7]}-{n[7:]}": script.meaning for n, script in baidu_numbers.NUMBERS.items()}

    listed = dict(table("called number", "what happens"))

    assert listed == {**numbers, "every other number": baidu_numbers.EVERY_OTHER_NUMBER.meaning}


def test_readme_lists_the_templates_and_values_of_the_baidu_vms_simulator() -> None:
    templates = baidu_templates.TEMPLATES.items()

    assert table("template", "its text", "what happens") == [
        *([f"`{name}`", f"`{template.text}`", error_text(template.error)] for name, template in templates),
        ["every other template", "any", error_text(baidu_errors.NO_SUCH_TEMPLATE)],
    ]
    assert table("in a variable's value", "what happens") == [
        [f"`{value}`", error_text(error)] for value, error in baidu_templates.FORBIDDEN_VALUES.items()
    ]


def test_readme_lists_the_control_routes_of_the_baidu_vms_simulator() -> None:
    listed = codes_in([row[0] for row in table("request to Baidu VMS", "what for")])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in baidu_control.ROUTES]


def test_readme_lists_the_control_routes_of_the_biztel_simulator() -> None:
    listed = codes_in([row[0] for row in table("control request", "what for")])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in biztel.ROUTES]


def test_readme_lists_the_faults_of_the_biztel_simulator() -> None:
    what_for = dict(table("control request", "what for"))[f"`POST {PREFIX}faults`"]
    kinds = what_for.partition("`kind` is ")[2].partition(";")[0]

    assert CODE.findall(kinds) == [kind.value for kind in BiztelFaultKind]


def test_readme_lists_every_sms_state_and_only_delivered_as_billable() -> None:
    rows = table("state", "meaning", "final", "billable")

    assert codes_in([row[0] for row in rows]) == [state.value for state in SmsState]
    assert [CODE.findall(row[0]) for row in rows if row[3] == "yes"] == [[SmsState.DELIVERED.value]]


def test_readme_lists_the_keys_of_the_endpoints_file() -> None:
    listed = codes_in([row[0] for row in table("key", "what it is")])

    assert listed == [field.name for field in fields(Endpoints)]


def test_readme_lists_parameters_with_the_defaults_of_the_template() -> None:
    parameters = source()["Parameters"]
    for names_cell, defaults_cell, _ in table("parameter", "default", "when to change it"):
        names = CODE.findall(names_cell)
        assert set(names) <= set(parameters)
        for name, listed in zip(names, defaults_cell.split(", "), strict=True):
            default = str(parameters[name]["Default"])
            if listed.startswith("`"):
                assert listed == f"`{default}`"
            elif listed == "empty":
                assert not default


def test_readme_lists_parameters_in_the_order_of_the_template() -> None:
    listed = codes_in([row[0] for row in table("parameter", "default", "when to change it")])

    assert listed == [name for name in source()["Parameters"] if name in listed]


def test_the_runbook_has_one_section_for_each_alarm_of_the_template() -> None:
    resources = source()["Resources"].items()
    alarms = {name for name, resource in resources if resource["Type"] == "AWS::CloudWatch::Alarm"}

    listed = [title.strip("`") for title, _ in sections("docs/runbook.md", level=3) if title.startswith("`")]

    assert len(listed) == len(alarms)
    assert set(listed) == alarms


def test_a_runbook_section_of_an_alarm_says_what_happened_means_and_to_do() -> None:
    for title, text in sections("docs/runbook.md", level=3):
        if title.startswith("`"):
            labels = re.findall(r"^- \*\*(.+?):\*\* \S", text, flags=re.MULTILINE)
            assert labels == ["What happened", "What it means", "What to do"], title


def test_every_test_that_a_page_names_exists() -> None:
    tests = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.rglob("tests/**/test_*.py")
    }
    for name in re.findall(r"\b(?:tests/[\w/]+/)?test_\w+(?:\.py)?", "".join(map(text_of, PAGES))):
        assert name in tests or any(f"def {name}(" in text for text in tests.values()), name


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_and_every_linked_file_of_a_page_exists(page: str) -> None:
    makefile = text_of("Makefile")
    for target in re.findall(r"`make ([a-z]+)", text_of(page)):
        assert f"\n{target}:" in makefile, target
    for link in re.findall(r"\]\(([^)#:]+)\)", text_of(page)):
        assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES)
def test_every_anchor_that_a_page_links_to_within_itself_exists(page: str) -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", text_of(page))) <= anchors_of(page)


@pytest.mark.parametrize("page", PAGES_WITH_CODE_PATHS)
def test_every_code_path_that_a_page_names_exists(page: str) -> None:
    paths = {code for code in CODE.findall(text_of(page)) if CODE_PATH.fullmatch(code)} - BUCKET_PREFIXES

    assert paths
    assert [path for path in paths if not ((ROOT / path).exists() or (PACKAGE / path).exists())] == []

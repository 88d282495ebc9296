"""What README.md and the pages under docs/ list is what there is."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
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


@cache
def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def table(*heading: str, document: str = "README.md") -> list[list[str]]:
    """The rows of the one table with this heading."""
    all_lines = text_of(document).splitlines()
    wanted = f"| {' | '.join(heading)} |"
    assert all_lines.count(wanted) == 1
    lines = iter(all_lines)
    for line in lines:
        if line == wanted:
            break
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def codes_in(cells: list[str]) -> list[str]:
    return [code for cell in cells for code in CODE.findall(cell)]


def test_the_simulators_numbers_are_the_ones_listed() -> None:
    simulated = {f"{number[:3]}-{number[3:7]}-{number[7:]}": script.meaning for number, script in NUMBERS.items()}

    assert dict(table("number", "what happens")) == {**simulated, "every other number": EVERY_OTHER_NUMBER.meaning}


def test_the_control_requests_are_the_ones_listed() -> None:
    listed = codes_in([row[0] for row in table("request", "what for")])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in ROUTES]


def test_baidus_numbers_are_the_ones_listed() -> None:
    numbers = {f"{n[:3]}-{n[3:7]}-{n[7:]}": script.meaning for n, script in baidu_numbers.NUMBERS.items()}

    listed = dict(table("called number", "what happens"))

    assert listed == {**numbers, "every other number": baidu_numbers.EVERY_OTHER_NUMBER.meaning}


def test_baidus_templates_and_forbidden_values_are_the_ones_listed() -> None:
    def shown(error: baidu_errors.Error | None) -> str:
        return "called" if error is None else f"{error.code}: {error.message}"

    assert table("template", "its text", "what happens") == [
        *([f"`{name}`", f"`{each.text}`", shown(each.error)] for name, each in baidu_templates.TEMPLATES.items()),
        ["every other template", "any", shown(baidu_errors.NO_SUCH_TEMPLATE)],
    ]
    assert table("in a variable's value", "what happens") == [
        [f"`{value}`", shown(error)] for value, error in baidu_templates.FORBIDDEN_VALUES.items()
    ]


def test_baidus_control_requests_are_the_ones_listed() -> None:
    listed = codes_in([row[0] for row in table("request to Baidu VMS", "what for")])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in baidu_control.ROUTES]


def test_biztels_control_requests_are_the_ones_listed() -> None:
    listed = codes_in([row[0] for row in table("control request", "what for")])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in biztel.ROUTES]


def test_biztels_faults_are_the_ones_listed() -> None:
    what_for = dict(table("control request", "what for"))[f"`POST {PREFIX}faults`"]
    kinds = what_for.partition("`kind` is ")[2].partition(";")[0]

    assert CODE.findall(kinds) == [kind.value for kind in BiztelFaultKind]


def test_every_state_is_listed_in_order_and_only_a_delivered_message_is_billable() -> None:
    rows = table("state", "meaning", "final", "billable")

    assert codes_in([row[0] for row in rows]) == [state.value for state in SmsState]
    assert [CODE.findall(row[0]) for row in rows if row[3] == "yes"] == [[SmsState.DELIVERED.value]]


def test_the_endpoints_file_has_the_keys_listed() -> None:
    listed = codes_in([row[0] for row in table("key", "what it is")])

    assert listed == [field.name for field in fields(Endpoints)]


def test_the_parameters_listed_are_the_templates_with_their_defaults() -> None:
    parameters = source()["Parameters"]
    for names, default, _ in table("parameter", "default", "when to change it"):
        named = CODE.findall(names)
        assert set(named) <= set(parameters)
        for name, shown in zip(named, default.split(", "), strict=True):
            actual = str(parameters[name]["Default"])
            if shown.startswith("`"):
                assert shown == f"`{actual}`"
            elif shown == "empty":
                assert not actual


def test_every_alarm_of_the_template_has_its_line_in_the_runbook() -> None:
    rows = table("alarm", "what happened", "what to do", document="docs/runbook.md")
    alarms = {name for name, each in source()["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}

    listed = codes_in([row[0] for row in rows])

    assert len(listed) == len(alarms)
    assert set(listed) == alarms


def test_every_test_that_a_page_names_exists() -> None:
    tests = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.rglob("tests/**/test_*.py")
    }
    for name in re.findall(r"\b(?:tests/[\w/]+/)?test_\w+(?:\.py)?", "".join(map(text_of, PAGES))):
        assert name in tests or any(f"def {name}(" in text for text in tests.values()), name


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_and_every_linked_file_exists(page: str) -> None:
    makefile = text_of("Makefile")
    for target in re.findall(r"`make ([a-z]+)", text_of(page)):
        assert f"\n{target}:" in makefile, target
    for link in re.findall(r"\]\(([^)#:]+)\)", text_of(page)):
        assert ((ROOT / page).parent / link).exists(), link

"""The tables of the pages under docs/ agree with the code, the template and the simulators."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from enum import StrEnum

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
from switchboard.domain.api_keys import Scope
from switchboard.domain.recording.status import ChannelState, RecordingState
from switchboard.domain.recording.transcripts import TranscriptState
from switchboard.domain.sms.messages import SmsState
from switchboard.domain.verification.verifications import VerificationState
from switchboard.domain.voice_calls import VoiceCallState
from tests.docs.pages import CODE, codes_in, read_page, sections, table
from tests.translated_template import ROOT, source
from tools.write_reference import fill

SANDBOX = "docs/reference/sandbox.md"
STATES = "docs/reference/states.md"
PARAMETERS = "docs/reference/parameters.md"
DEPLOY = "docs/guides/deploy.md"


def error_text(error: baidu_errors.Error | None) -> str:
    """Return what the page says about a template or a value that leads to this error."""
    return "called" if error is None else f"{error.code}: {error.message}"


def test_the_reference_lists_the_numbers_of_the_mediasms_simulator() -> None:
    simulated = {f"{number[:3]}-{number[3:7]}-{number[7:]}": script.meaning for number, script in NUMBERS.items()}

    assert dict(table("number", "what happens", page=SANDBOX)) == {
        **simulated,
        "every other number": EVERY_OTHER_NUMBER.meaning,
    }


def test_the_reference_lists_the_control_routes_of_the_mediasms_simulator() -> None:
    listed = codes_in([row[0] for row in table("request", "what for", page=SANDBOX)])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in ROUTES]


def test_the_reference_lists_the_numbers_of_the_baidu_vms_simulator() -> None:
    numbers = {f"{n[:3]}-{n[3:7]}-{n[7:]}": script.meaning for n, script in baidu_numbers.NUMBERS.items()}

    listed = dict(table("called number", "what happens", page=SANDBOX))

    assert listed == {**numbers, "every other number": baidu_numbers.EVERY_OTHER_NUMBER.meaning}


def test_the_reference_lists_the_templates_and_values_of_the_baidu_vms_simulator() -> None:
    templates = baidu_templates.TEMPLATES.items()

    assert table("template", "its text", "what happens", page=SANDBOX) == [
        *([f"`{name}`", f"`{template.text}`", error_text(template.error)] for name, template in templates),
        ["every other template", "any", error_text(baidu_errors.NO_SUCH_TEMPLATE)],
    ]
    assert table("in a variable's value", "what happens", page=SANDBOX) == [
        [f"`{value}`", error_text(error)] for value, error in baidu_templates.FORBIDDEN_VALUES.items()
    ]


def test_the_reference_lists_the_control_routes_of_the_baidu_vms_simulator() -> None:
    listed = codes_in([row[0] for row in table("request to Baidu VMS", "what for", page=SANDBOX)])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in baidu_control.ROUTES]


def test_the_reference_lists_the_control_routes_of_the_biztel_simulator() -> None:
    listed = codes_in([row[0] for row in table("control request", "what for", page=SANDBOX)])

    assert listed == [f"{method} {PREFIX}{path}" for method, path in biztel.ROUTES]


def test_the_reference_lists_the_faults_of_the_biztel_simulator() -> None:
    what_for = dict(table("control request", "what for", page=SANDBOX))[f"`POST {PREFIX}faults`"]
    kinds = what_for.partition("`kind` is ")[2].partition(";")[0]

    assert CODE.findall(kinds) == [kind.value for kind in BiztelFaultKind]


def test_the_reference_lists_every_sms_state_and_only_delivered_as_billable() -> None:
    rows = table("state", "meaning", "final", "billable", page=STATES)

    assert codes_in([row[0] for row in rows]) == [state.value for state in SmsState]
    assert [CODE.findall(row[0]) for row in rows if row[3] == "yes"] == [[SmsState.DELIVERED.value]]


def test_the_reference_lists_the_keys_of_the_endpoints_file() -> None:
    listed = codes_in([row[0] for row in table("key", "what it is", page=SANDBOX)])

    assert listed == [field.name for field in fields(Endpoints)]


def test_the_reference_lists_parameters_with_the_defaults_of_the_template() -> None:
    parameters = source()["Parameters"]
    for names_cell, defaults_cell, _ in table("parameter", "default", "when to change it", page=PARAMETERS):
        names = CODE.findall(names_cell)
        assert set(names) <= set(parameters)
        for name, listed in zip(names, defaults_cell.split(", "), strict=True):
            default = str(parameters[name]["Default"])
            if listed.startswith("`"):
                assert listed == f"`{default}`"
            elif listed == "empty":
                assert not default


def test_the_reference_lists_parameters_in_the_order_of_the_template() -> None:
    listed = codes_in([row[0] for row in table("parameter", "default", "when to change it", page=PARAMETERS)])

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


@pytest.mark.parametrize(
    ("heading", "states"),
    [
        ("state of a verification", VerificationState),
        ("state of a call", VoiceCallState),
        ("state of a recording", RecordingState),
        ("state of a channel", ChannelState),
        ("state of a transcript", TranscriptState),
    ],
)
def test_the_reference_lists_every_state(heading: str, states: Iterable[StrEnum]) -> None:
    assert codes_in([row[0] for row in table(heading, "meaning", page=STATES)]) == [state.value for state in states]


def test_the_guide_to_api_keys_lists_every_scope() -> None:
    scopes = read_page("docs/guides/api-keys.md").partition("Each route needs a scope: ")[2].partition(".")[0]

    assert set(CODE.findall(scopes)) == set(Scope)


def test_the_guide_to_deploying_lists_every_secret() -> None:
    resources = source()["Resources"].values()
    secrets = [entry["Properties"]["Name"] for entry in resources if entry["Type"] == "AWS::SecretsManager::Secret"]

    listed = codes_in([row[0] for row in table("secret", "first value", "to do", page=DEPLOY)])

    assert sorted(listed) == sorted(name["Fn::Sub"].removeprefix("${AWS::StackName}/") for name in secrets)


def test_every_generated_table_is_as_it_would_be_generated() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert fill(text) == text, f"{page.name}: run tools/write_reference.py"


def test_the_receiver_of_the_guide_is_the_one_of_the_examples() -> None:
    receiver = read_page("examples/webhook_receiver.py")

    assert f"```python\n{receiver}```" in read_page("docs/receive-webhooks.md")

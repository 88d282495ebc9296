"""The template's loops are expanded as CloudFormation expands them."""

from typing import Any

import pytest

from sandbox.errors import SandboxError
from sandbox.language_extensions import expand_template

FUNCTIONS: dict[str, Any] = {
    "Fn::ForEach::Functions": [
        "Function",
        ["Send", "Query"],
        {
            "${Function}Logs": {"Type": "AWS::Logs::LogGroup"},
            "${Function}Alarm": {
                "AlarmDescription": {"Fn::Sub": "${Function} crashed"},
                "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": {"Ref": "Function"}}}],
            },
        },
    ]
}


def test_a_loop_becomes_one_entry_for_each_item_and_name() -> None:
    resources = expand_template({"Resources": {"Table": {"Type": "T"}, **FUNCTIONS}})["Resources"]

    assert list(resources) == ["Table", "SendLogs", "SendAlarm", "QueryLogs", "QueryAlarm"]
    assert resources["QueryAlarm"] == {
        "AlarmDescription": "Query crashed",
        "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "Query"}}],
    }


def test_a_loop_variable_in_a_plain_text_or_a_nested_key_stays() -> None:
    """An AWS account leaves them too, although SAM CLI replaces them."""
    body = {"${Item}": {"Text": "${Item}", "Nested": {"${Item}Key": {"Fn::Sub": "${Item} in ${AWS::Region}"}}}}

    resources = expand_template({"Resources": {"Fn::ForEach::Items": ["Item", ["A"], body]}})["Resources"]

    assert resources["A"] == {"Text": "${Item}", "Nested": {"${Item}Key": {"Fn::Sub": "A in ${AWS::Region}"}}}


def test_a_value_of_a_mapping_is_found_with_a_loop_variable() -> None:
    template = {
        "Mappings": {"Alarms": {"A": {"Threshold": 1}, "B": {"Threshold": 10}}},
        "Resources": {
            "Fn::ForEach::Alarms": [
                "Alarm",
                ["A", "B"],
                {"${Alarm}": {"Threshold": {"Fn::FindInMap": ["Alarms", {"Ref": "Alarm"}, "Threshold"]}}},
            ]
        },
    }

    assert expand_template(template)["Resources"] == {"A": {"Threshold": 1}, "B": {"Threshold": 10}}


def test_a_value_of_a_mapping_chosen_by_a_parameter_is_left_to_aws() -> None:
    setting = {"Fn::FindInMap": ["Settings", {"Ref": "Profile"}, "Timeout"]}

    assert expand_template({"Resources": {"Function": setting}}) == {"Resources": {"Function": setting}}


def test_a_missing_value_of_a_mapping_is_named() -> None:
    resources = {"Alarm": {"Threshold": {"Fn::FindInMap": ["Alarms", "A", "Threshold"]}}}

    with pytest.raises(SandboxError, match=r"no value Alarms\.A\.Threshold"):
        expand_template({"Mappings": {"Alarms": {"A": {}}}, "Resources": resources})


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param({"SendLogs": {}, **FUNCTIONS}, id="a resource and a loop"),
        pytest.param({"Fn::ForEach::Items": ["Item", ["A", "A"], {"${Item}": {}}]}, id="an item twice"),
        pytest.param({"Fn::ForEach::Items": ["Item", ["A", "B"], {"Item": {}}]}, id="a name without the variable"),
    ],
)
def test_two_entries_with_the_same_name_are_refused(resources: dict[str, Any]) -> None:
    with pytest.raises(SandboxError, match="more than once"):
        expand_template({"Resources": resources})


def test_an_object_that_an_alias_repeats_becomes_two_objects() -> None:
    """The translator changes objects in place: with a shared one it would change both places."""
    shared = {"Variables": {"A": "1"}}

    resources = expand_template({"Resources": {"One": shared, "Two": shared}})["Resources"]

    assert resources["One"] == resources["Two"]
    assert resources["One"]["Variables"] is not resources["Two"]["Variables"]

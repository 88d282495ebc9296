"""What is watched, and what is told to whom."""

from __future__ import annotations

from typing import Final

import pytest

from tests.translated_template import (
    ROOT,
    function,
    function_folders,
    resources_of,
)

FUNCTIONS: Final = sorted(function_folders())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_log_group_of_its_own_that_forgets(name: str) -> None:
    group = function(name)["LoggingConfig"]["LogGroup"]["Ref"]

    assert "RetentionInDays" in resources_of("AWS::Logs::LogGroup")[group]
    others = [function(each)["LoggingConfig"]["LogGroup"]["Ref"] for each in FUNCTIONS if each != name]
    assert group not in others


def test_every_log_group_forgets() -> None:
    assert all("RetentionInDays" in each for each in resources_of("AWS::Logs::LogGroup").values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_an_alarm_on_its_errors(name: str) -> None:
    dimensions = [{"Name": "FunctionName", "Value": {"Ref": name}}]

    [alarm] = [
        each
        for each in resources_of("AWS::CloudWatch::Alarm").values()
        if each["Namespace"] == "AWS/Lambda" and each["MetricName"] == "Errors" and each["Dimensions"] == dimensions
    ]
    assert alarm["Threshold"] == 1


def test_no_alarm_rings_for_lack_of_data_and_each_tells_the_topic() -> None:
    for name, alarm in resources_of("AWS::CloudWatch::Alarm").items():
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmDescription"], name
        assert alarm["AlarmActions"]["Fn::If"][:2] == ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}]], name


def test_alarms_on_our_own_metrics_name_what_the_functions_write() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("functions/*/app.py"))
    code += "".join(
        path.read_text(encoding="utf-8") for path in ROOT.rglob("layers/switchboard/python/switchboard/edge/**/*.py")
    )
    for name, alarm in resources_of("AWS::CloudWatch::Alarm").items():
        if alarm["Namespace"] != "Switchboard":
            continue
        metric = alarm["MetricName"]
        # One metric's name is made of the outcome: tests/unit/handlers sees it written.
        assert f'"{metric}"' in code or metric == "DeliveryReportsQuarantined", name

"""Every function is watched, and every alarm watches something that the code writes."""

from __future__ import annotations

import re
from typing import Final

import pytest

from switchboard.edge.metrics import Metric
from tests.translated_template import ROOT, Properties, function, function_folders, resources_of

FUNCTIONS: Final = sorted(function_folders())


def metrics_of(alarm: Properties) -> list[Properties]:
    """Return every metric that an alarm watches, alone or in an expression."""
    parts = alarm.get("Metrics", [])
    return [part["MetricStat"]["Metric"] for part in parts if "MetricStat" in part] or [alarm]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_its_own_log_group_with_a_retention(name: str) -> None:
    group = function(name)["LoggingConfig"]["LogGroup"]["Ref"]

    assert "RetentionInDays" in resources_of("AWS::Logs::LogGroup")[group]
    others = [function(other)["LoggingConfig"]["LogGroup"]["Ref"] for other in FUNCTIONS if other != name]
    assert group not in others


def test_every_log_group_has_a_retention() -> None:
    assert all("RetentionInDays" in group for group in resources_of("AWS::Logs::LogGroup").values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_an_alarm_on_its_errors(name: str) -> None:
    dimensions = [{"Name": "FunctionName", "Value": {"Ref": name}}]

    [alarm] = [
        alarm
        for alarm in resources_of("AWS::CloudWatch::Alarm").values()
        if alarm.get("Namespace") == "AWS/Lambda"
        and alarm["MetricName"] == "Errors"
        and alarm["Dimensions"] == dimensions
    ]
    assert alarm["Threshold"] == 1


def test_an_alarm_needs_data_has_a_description_and_tells_the_topic() -> None:
    for name, alarm in resources_of("AWS::CloudWatch::Alarm").items():
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmDescription"], name
        assert alarm["AlarmActions"]["Fn::If"][:2] == ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}]], name


def test_the_table_of_metrics_marks_exactly_those_with_an_alarm() -> None:
    alarms = resources_of("AWS::CloudWatch::Alarm").values()

    metrics = [metric for alarm in alarms for metric in metrics_of(alarm)]
    watched = {metric["MetricName"] for metric in metrics if metric["Namespace"] == "Switchboard"}

    assert watched == {metric.value for metric in Metric if metric.alarmed}


@pytest.mark.parametrize("provider", ["mediasms", "biztel", "baidu_vms"])
def test_a_refused_callback_of_any_provider_rings(provider: str) -> None:
    dimensions = [{"Name": "service", "Value": "switchboard"}, {"Name": "provider", "Value": provider}]

    [alarm] = [
        alarm
        for alarm in resources_of("AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == Metric.CALLBACKS_REFUSED and alarm["Dimensions"] == dimensions
    ]

    assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 1, 1)


def test_the_silence_alarm_needs_accepted_messages_and_no_report() -> None:
    alarm = resources_of("AWS::CloudWatch::Alarm")["SmsReportsSilentAlarm"]
    parts = {part["Id"]: part for part in alarm["Metrics"]}

    assert [part["Id"] for part in alarm["Metrics"] if part["ReturnData"]] == ["silent"]
    assert parts["silent"]["Expression"] == "IF(accepted >= 10 AND FILL(recorded, 0) == 0, 1, 0)"
    assert {
        name: (part["MetricStat"]["Metric"]["MetricName"], part["MetricStat"]["Stat"], part["MetricStat"]["Period"])
        for name, part in parts.items()
        if "MetricStat" in part
    } == {
        "accepted": (Metric.SMS_ACCEPTED, "Sum", 3600),
        "recorded": (Metric.DELIVERY_REPORTS_RECORDED, "Sum", 3600),
    }
    for metric in metrics_of(alarm):
        assert metric["Dimensions"] == [
            {"Name": "service", "Value": "switchboard"},
            {"Name": "provider", "Value": "mediasms"},
        ]


def test_the_runbook_watches_metrics_of_the_table() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    [watched] = re.findall(r"^Metrics are in the namespace `Switchboard`\.(.*?)\n\n", runbook, re.DOTALL | re.MULTILINE)
    without_alarm, _, with_alarm = watched.partition(". ")
    alarmed_by_name = {metric.value: metric.alarmed for metric in Metric}

    for text, alarmed in ((without_alarm, False), (with_alarm, True)):
        names = re.findall(r"`(\w+)`", text)
        assert names
        assert [name for name in names if alarmed_by_name[name] is not alarmed] == []

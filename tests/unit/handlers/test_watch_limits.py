"""Every minute the limits become metrics, with the dimensions that the alarms look for."""

from __future__ import annotations

from typing import Any

from tests.deployment import Deployment
from tests.events import load_event
from tests.translated_template import resources_of


def gauges(stack: Deployment) -> dict[tuple[str, str], float]:
    """What one round recorded, by provider and metric."""
    before = len(stack.logged())
    assert stack.invoke("watch_limits", load_event("watch_limits", "schedule")) is None
    records = [line for line in stack.logged()[before:] if "_aws" in line]
    return {(line["provider"], name): _value(line[name]) for line in records for name in _names(line)}


def _names(line: dict[str, Any]) -> list[str]:
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Switchboard"
    assert sorted(directive["Dimensions"][0]) == ["provider", "service"]
    return [each["Name"] for each in directive["Metrics"]]


def _value(recorded: Any) -> float:
    return float(recorded[0] if isinstance(recorded, list) else recorded)


def test_a_closed_circuit_and_an_unused_month_are_recorded_as_zero(stack: Deployment) -> None:
    recorded = gauges(stack)

    assert recorded["mediasms", "CircuitOpen"] == 0
    assert recorded["mediasms", "SlotsAheadSeconds"] == 0
    assert recorded["biztel", "MonthlyQuotaUsedPercent"] == 0


def test_an_open_circuit_is_recorded(stack: Deployment) -> None:
    stack.put_secret("MediaSmsSecret", {"user": "somebody", "password": "else"})
    for _ in range(3):
        assert stack.http("send_sms", load_event("send_sms", "japanese_text")).status == 502

    recorded = gauges(stack)

    assert recorded["mediasms", "CircuitOpen"] == 1
    assert recorded["mediasms", "Consecutive401s"] == 3


def test_a_table_that_does_not_answer_leaves_the_others_recorded_and_fails_nothing(stack: Deployment) -> None:
    stack.lose_table("StateTable")

    assert gauges(stack)["mediasms", "CircuitOpen"] == 0


def test_every_alarm_on_a_gauge_looks_for_one_that_is_recorded(stack: Deployment) -> None:
    recorded = {(provider, name) for provider, name in gauges(stack)}
    watched = {"CircuitOpen", "SlotsAheadSeconds", "MonthlyQuotaUsedPercent"}

    alarms = [each for each in resources_of("AWS::CloudWatch::Alarm").values() if each["MetricName"] in watched]

    assert {each["MetricName"] for each in alarms} == watched
    for alarm in alarms:
        dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        assert (dimensions["provider"], alarm["MetricName"]) in recorded

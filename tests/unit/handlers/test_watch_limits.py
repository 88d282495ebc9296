"""Every minute the state of the limits becomes metrics, with the dimensions that the alarms watch."""

from __future__ import annotations

from typing import Any

from tests.deployment import Deployment
from tests.events import load_event
from tests.translated_template import resources_of


def record_gauges(stack: Deployment) -> dict[tuple[str, str], float]:
    """Run one round; return what it recorded by provider and metric."""
    before = len(stack.logged())
    assert stack.invoke("watch_limits", load_event("watch_limits", "schedule")) is None
    records = [line for line in stack.logged()[before:] if "_aws" in line]
    return {(line["provider"], name): _value(line[name]) for line in records for name in _names_in(line)}


def _names_in(line: dict[str, Any]) -> list[str]:
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Switchboard"
    assert sorted(directive["Dimensions"][0]) == ["provider", "service"]
    return [metric["Name"] for metric in directive["Metrics"]]


def _value(recorded: Any) -> float:
    return float(recorded[0] if isinstance(recorded, list) else recorded)


def test_a_closed_circuit_and_an_unused_quota_are_zero(stack: Deployment) -> None:
    recorded = record_gauges(stack)

    assert recorded["mediasms", "CircuitOpen"] == 0
    assert recorded["mediasms", "SlotsAheadSeconds"] == 0
    assert recorded["biztel", "MonthlyQuotaUsedPercent"] == 0


def test_an_open_circuit_is_recorded(stack: Deployment) -> None:
    stack.put_secret("MediaSmsSecret", {"user": "wrong", "password": "wrong"})
    for _ in range(3):
        assert stack.http("send_sms", load_event("send_sms", "japanese_text")).status == 502

    recorded = record_gauges(stack)

    assert recorded["mediasms", "CircuitOpen"] == 1
    assert recorded["mediasms", "Consecutive401s"] == 3


def test_a_state_table_that_is_down_leaves_the_limits_recorded(stack: Deployment) -> None:
    stack.lose_table("StateTable")

    assert record_gauges(stack)["mediasms", "CircuitOpen"] == 0


def test_every_alarm_on_a_gauge_watches_a_recorded_one(stack: Deployment) -> None:
    recorded = set(record_gauges(stack))
    watched = {"CircuitOpen", "SlotsAheadSeconds", "MonthlyQuotaUsedPercent"}

    alarms = [alarm for alarm in resources_of("AWS::CloudWatch::Alarm").values() if alarm.get("MetricName") in watched]

    assert {alarm["MetricName"] for alarm in alarms} == watched
    for alarm in alarms:
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        assert (dimensions["provider"], alarm["MetricName"]) in recorded

"""The template's tables are complete: its parameters, settings, functions and alarms, each one in its order."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.translated_template import ROOT, environment_of, function_folders, resolve_references, written_template


def items_of(loop: str) -> list[str]:
    """Return the items of one loop, in order."""
    _, items, _ = written_template()["Resources"][f"Fn::ForEach::{loop}"]
    return list(items)


def empty_entries_in(value: Any, place: str = "template") -> Iterator[str]:
    """Yield the place of each entry that has no value."""
    if value is None:
        yield place
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from empty_entries_in(inner, f"{place}.{name}")


def test_no_comma_splits_a_value_of_the_template() -> None:
    """In a row such as `{ Default: left,right }`, what follows the comma is an entry of its own without a value."""
    assert list(empty_entries_in(written_template())) == []


def test_the_console_groups_every_parameter_in_the_templates_order() -> None:
    groups = written_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert [name for group in groups for name in group["Parameters"]] == list(written_template()["Parameters"])


def test_each_profile_of_the_template_is_a_row_of_its_settings() -> None:
    template = written_template()

    assert list(template["Mappings"]["Settings"]) == template["Parameters"]["Profile"]["AllowedValues"]
    assert template["Parameters"]["Profile"]["Default"] == "production"


def test_no_function_of_a_deployment_speaks_plain_http_to_a_provider() -> None:
    values = [
        resolve_references({"ALLOW_PLAIN_HTTP": environment["ALLOW_PLAIN_HTTP"]}, references={})
        for environment in map(environment_of, function_folders())
        if "ALLOW_PLAIN_HTTP" in environment
    ]

    assert len(values) == 8
    assert all(value == {"ALLOW_PLAIN_HTTP": "false"} for value in values)


def test_the_loop_of_log_groups_and_error_alarms_names_every_function() -> None:
    assert sorted(items_of("Functions")) == sorted(function_folders())


def test_each_row_of_the_table_of_alarms_is_an_alarm() -> None:
    assert items_of("MetricAlarms") == list(written_template()["Mappings"]["Alarms"])


def test_each_row_of_the_table_of_alarms_has_every_column() -> None:
    rows: dict[str, dict[str, Any]] = written_template()["Mappings"]["Alarms"]
    columns = {"Metric", "Provider", "Statistic", "Period", "Periods", "Threshold", "Description"}

    assert {name: set(row) for name, row in rows.items()} == dict.fromkeys(rows, columns)


@pytest.mark.parametrize("command", ["build", "deploy", "package", "validate"])
def test_sam_cli_expands_the_loops_itself(command: str) -> None:
    commands = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))["default"]

    parameters = {**commands["global"]["parameters"], **commands.get(command, {}).get("parameters", {})}

    assert parameters["language_extensions"] is True

"""The template's loops run over its functions and its table of alarms, and SAM CLI expands them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.translated_template import ROOT, function_folders, written_template


def items_of(loop: str) -> list[str]:
    """Return the items of one loop, in order."""
    _, items, _ = written_template()["Resources"][f"Fn::ForEach::{loop}"]
    return list(items)


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

"""docs/upgrading.md and the changelog's tables of names agree with the template and the metrics."""

from __future__ import annotations

import re
from typing import Final

import pytest

from switchboard.edge.metrics import Metric
from tests.docs.pages import codes_in, read_page
from tests.docs.test_links import find_source_names
from tests.translated_template import source, written_template

NAMES: Final = read_page("CHANGELOG.md").partition("#### Old and new names\n")[2].partition("\n- **")[0]
STEPS: Final = read_page("docs/upgrading.md").partition("## From 0.1 to 0.2\n")[2]
KINDS: Final = {
    "Its parameters:": source()["Parameters"].keys(),
    "Metrics:": {metric.value for metric in Metric},
    "Alarms:": source()["Resources"].keys(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_new_names_exist_and_the_old_ones_are_gone(kind: str) -> None:
    table = NAMES.partition(kind)[2].strip().partition("\n\n")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines()[2:]]
    old, new = (codes_in([row[column] for row in rows]) for column in (0, 1))

    assert old
    assert new
    assert [name for name in old if name in KINDS[kind]] == []
    assert [name for name in new if name not in find_source_names()] == []


def test_the_new_names_of_stored_data_and_logs_are_in_the_code() -> None:
    rows = [line.strip("|").split(" | ") for line in NAMES.partition("Stored data:")[2].splitlines() if "|" in line]
    words = re.findall(r"\w+", " ".join(codes_in([row[-1] for row in rows])))

    assert words
    assert [word for word in words if word not in find_source_names()] == []


def test_the_steps_name_each_secret() -> None:
    secrets = [entry for entry in source()["Resources"].values() if entry["Type"] == "AWS::SecretsManager::Secret"]
    step = STEPS.partition("**Fill the secrets**")[2].partition("\n3. ")[0]

    assert {code.rpartition("/")[2] for code in codes_in([step])} == {
        entry["Properties"]["Name"]["Fn::Sub"].rpartition("/")[2] for entry in secrets
    }


def test_the_steps_give_the_default_scopes_and_the_delivery_window() -> None:
    parameters = source()["Parameters"]
    scopes = re.search(r"`DefaultScopes` \((.*?)\)", " ".join(STEPS.split()))
    hours = re.search(r"\((\d+) hours, `DeliveryWindowHours`\)", STEPS)

    assert scopes
    assert ",".join(codes_in([scopes[1]])) == parameters["DefaultScopes"]["Default"]
    assert hours
    assert int(hours[1]) == parameters["DeliveryWindowHours"]["Default"]


def test_an_output_that_is_gone_is_gone() -> None:
    [gone] = re.findall(r"the output `(\w+)` is gone", STEPS)

    assert gone not in written_template()["Outputs"]

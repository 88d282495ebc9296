"""The table of metrics is the only place that spells a metric's name."""

from __future__ import annotations

import ast
import re
from typing import Final

import pytest

from switchboard.edge.metrics import Metric
from tests.translated_template import ROOT
from tools.check_metric_names import CAMEL_CASE, TABLE, check, find_metric_literals, list_writers, read_metric_names

NAMES: Final = frozenset(metric.value for metric in Metric)


def test_the_check_knows_every_writer_and_every_metric() -> None:
    assert len(list_writers(ROOT)) >= 50
    assert read_metric_names(ROOT) == NAMES


def test_no_other_module_spells_a_metrics_name() -> None:
    assert list(check(ROOT)) == []


@pytest.mark.parametrize(
    "code",
    [
        pytest.param('metrics.add_metric(name="Anything", unit=unit, value=1)', id="add_metric by keyword"),
        pytest.param('metrics.add_metric("anything", unit, 1)', id="add_metric by position"),
        pytest.param('count("anything")', id="count"),
        pytest.param('count("One" if new else Metric.SMS_QUEUED)', id="one of two"),
        pytest.param('count(f"Sms{outcome}")', id="a name made from an outcome"),
        pytest.param('record_gauges(provider, {"open": 1})', id="a gauge"),
        pytest.param('METRICS = {"recorded": "SmsAccepted"}', id="a name in a table"),
        pytest.param('Kind(name="SmsSomething")', id="a camel-case name"),
    ],
)
def test_a_literal_is_found(code: str) -> None:
    assert list(find_metric_literals(ast.parse(code), NAMES))


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("count(Metric.SMS_ACCEPTED)", id="a metric"),
        pytest.param("metrics.add_metric(name=metric, unit=metric.unit, value=1)", id="a variable"),
        pytest.param('record_gauges("biztel", {Metric.CIRCUIT_OPEN: 1})', id="a gauge of a provider"),
        pytest.param('body.count("authcode")', id="another kind of count"),
        pytest.param('CachedSecret(name="switchboard-tokens")', id="another kind of name"),
    ],
)
def test_a_metric_of_the_table_is_fine(code: str) -> None:
    assert list(find_metric_literals(ast.parse(code), NAMES)) == []


def test_every_metric_of_the_table_is_used() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in [*list_writers(ROOT), ROOT / TABLE])

    assert [metric.name for metric in Metric if not re.search(rf"\bMetric\.{metric.name}\b", code)] == []


def test_names_are_unique_and_in_camel_case() -> None:
    assert len(NAMES) == len(Metric.__members__)
    assert all(CAMEL_CASE.fullmatch(name) for name in NAMES - {Metric.CONSECUTIVE_401S})


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.value)
def test_a_metric_has_one_sentence_on_what_it_counts(metric: Metric) -> None:
    assert metric.counts.endswith(".")
    assert ". " not in metric.counts

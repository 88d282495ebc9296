"""The table of metrics is the only place that spells a metric's name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from switchboard.edge.metrics import Metric
from tests.translated_template import ROOT

LAYER: Final = ROOT / "layers" / "switchboard" / "python" / "switchboard"
TABLE: Final = LAYER / "edge" / "metrics.py"
WRITERS: Final = sorted(
    path
    for path in [*ROOT.glob("functions/*/app.py"), *LAYER.glob("edge/**/*.py"), *LAYER.glob("bootstrap/**/*.py")]
    if path != TABLE
)
NAMES: Final = frozenset(metric.value for metric in Metric)
_CAMEL_CASE: Final = re.compile(r"(?:[A-Z][a-z0-9]+){2,}")


def find_metric_literals(tree: ast.AST) -> Iterator[str]:
    """Yield every text that is a metric's name or is given as one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in NAMES:
            yield node.value
        if not isinstance(node, ast.Call):
            continue
        yield from (text for argument in _metrics_in(node) for text in _texts_in(argument))
        for keyword in node.keywords:
            if keyword.arg == "name":
                yield from (text for text in _texts_in(keyword.value) if _CAMEL_CASE.fullmatch(text))


def _metrics_in(call: ast.Call) -> list[ast.expr]:
    """Return the arguments that name metrics."""
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    match call.func:
        case ast.Attribute(attr="add_metric") | ast.Name(id="single_metric"):
            return [*call.args[:1], *(value for name, value in arguments.items() if name == "name")]
        case ast.Name(id="count"):
            return [*call.args[:1], *(value for name, value in arguments.items() if name == "metric")]
        case ast.Name(id="record_gauges"):
            return [*call.args[1:2], *(value for name, value in arguments.items() if name == "gauges")]
    return []


def _texts_in(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an argument may be, or may have as keys."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr():
            yield ast.unparse(node)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts_in(body)
            yield from _texts_in(orelse)
        case ast.Dict(keys=keys):
            yield from (text for key in keys if key is not None for text in _texts_in(key))


def test_there_are_writers_of_metrics() -> None:
    assert len(WRITERS) >= 50


@pytest.mark.parametrize("path", WRITERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_other_module_spells_a_metrics_name(path: Path) -> None:
    assert list(find_metric_literals(ast.parse(path.read_text(encoding="utf-8")))) == []


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
    assert list(find_metric_literals(ast.parse(code)))


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
    assert list(find_metric_literals(ast.parse(code))) == []


def test_every_metric_of_the_table_is_used() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in [*WRITERS, TABLE])

    assert [metric.name for metric in Metric if not re.search(rf"\bMetric\.{metric.name}\b", code)] == []


def test_names_are_unique_and_in_camel_case() -> None:
    assert len(NAMES) == len(Metric.__members__)
    assert all(_CAMEL_CASE.fullmatch(name) for name in NAMES - {Metric.CONSECUTIVE_401S})


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.value)
def test_a_metric_has_one_sentence_on_what_it_counts(metric: Metric) -> None:
    assert metric.counts.endswith(".")
    assert ". " not in metric.counts

"""Write the generated tables of the pages under docs/, each between `<!-- generated: name -->` and `<!-- end -->`.

Run `PYTHONPATH=.:layers/switchboard/python .venv/dev/bin/python -m tools.write_reference`. tests/docs/test_tables.py
finds a table that is not as it would be generated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from switchboard.edge.metrics import Metric
from switchboard.edge.problems import PROBLEMS, UNEXPECTED
from tests.translated_template import ROOT, source

Resources = Iterable[tuple[str, dict[str, Any]]]

_BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_STATUS: Final = re.compile(r"^Status: (.+) · (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def main() -> None:
    """Write the tables of every page."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = fill(before)
        if after != before:
            page.write_text(after, encoding="utf-8")


def fill(text: str) -> str:
    """Return a page's text with each generated table as it is now."""
    return _BLOCK.sub(lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}", text)


def format_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("| --- ", "|---").replace("--- |", "---|") for line in lines)


def other_parameters() -> str:
    """Return the parameters that the page does not describe by hand."""
    page = (ROOT / "docs/reference/parameters.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`([A-Z]\w+)`", page.partition("<!-- generated")[0]))
    return format_table(
        ("parameter", "default", "meaning"),
        (
            (f"`{name}`", f"`{parameter['Default']}`" if parameter["Default"] != "" else "empty", _cell(parameter))
            for name, parameter in source()["Parameters"].items()
            if name not in described
        ),
    )


def problems() -> str:
    """Return the codes of all problems."""
    rows = {}
    for problem in (*PROBLEMS.values(), UNEXPECTED):
        detail = problem.detail or "(says more about the case)"
        rows[problem.code, problem.title] = (f"`{problem.code}`", str(int(problem.status)), problem.title, detail)
    return format_table(("code", "status", "title", "detail"), (rows[key] for key in sorted(rows)))


def metrics() -> str:
    """Return every metric of the namespace `Switchboard` with the alarms on it."""
    alarms: dict[str, list[str]] = {}
    for name, alarm in _alarms():
        alarms.setdefault(alarm.get("MetricName", ""), []).append(f"[`{name}`](../runbook.md#{name.lower()})")
    return format_table(
        ("metric", "counts", "alarms"),
        ((f"`{metric}`", metric.counts, ", ".join(alarms.get(metric, ())) or "–") for metric in Metric),
    )


def alarms() -> str:
    """Return every alarm with its condition."""
    return format_table(
        ("alarm", "rings if", "condition"),
        (
            (f"[`{name}`](../runbook.md#{name.lower()})", alarm["AlarmDescription"], _condition(alarm))
            for name, alarm in _alarms()
        ),
    )


def events() -> str:
    """Return the types of change events with the members of their data."""
    rows = []
    for path in sorted((ROOT / "docs/events").glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        data = schema["properties"]["data"]
        data = schema["$defs"][data["$ref"].rpartition("/")[2]] if "$ref" in data else data
        names = data.get("properties") or [name for choice in data["oneOf"] for name in choice["required"]]
        joint = ", " if "properties" in data else " or "
        rows.append((f"[{path.name}](../events/{path.name})", joint.join(f"`{name}`" for name in names)))
    return format_table(("schema", "members of `data`"), rows)


def decisions() -> str:
    """Return the index of decisions: number, title, status and date."""
    rows = []
    for path in sorted((ROOT / "docs/adr").glob("0*.md")):
        text = path.read_text(encoding="utf-8")
        number, _, title = text.partition("\n")[0].removeprefix("# ").partition(". ")
        status = _STATUS.search(text)
        if status is None:
            raise ValueError(f"{path.name} has no line `Status: … · date`")
        rows.append((number, f"[{title}]({path.name})", status[1], status[2]))
    return format_table(("no.", "decision", "status", "date"), rows)


TABLES: Final[dict[str, Callable[[], str]]] = {
    function.__name__: function for function in (other_parameters, problems, metrics, alarms, events, decisions)
}
"""The generated tables by their names in the pages."""


def _alarms() -> list[tuple[str, dict[str, Any]]]:
    resources: Resources = source()["Resources"].items()
    return [(name, entry["Properties"]) for name, entry in resources if entry["Type"] == "AWS::CloudWatch::Alarm"]


def _condition(alarm: dict[str, Any]) -> str:
    if "Metrics" in alarm:
        return "an expression in the template"
    periods = f"{alarm['EvaluationPeriods']} × " if alarm["EvaluationPeriods"] > 1 else ""
    threshold = f"{alarm['Statistic']} ≥ {alarm['Threshold']} in {periods}{alarm['Period']} s"
    return f"`{alarm['MetricName']}`: {threshold}"


def _cell(parameter: dict[str, Any]) -> str:
    return str(parameter.get("Description", "")).replace("|", "\\|")


if __name__ == "__main__":
    main()

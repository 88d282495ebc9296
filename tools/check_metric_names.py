"""Check that no module but the table of metrics spells a metric's name.

Run it from the repository's root; it prints a line a finding and exits with 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LAYER: Final = "layers/switchboard/python/switchboard"
TABLE: Final = f"{_LAYER}/edge/metrics.py"
CAMEL_CASE: Final = re.compile(r"(?:[A-Z][a-z0-9]+){2,}")


def list_writers(root: Path) -> list[Path]:
    """List the modules that may write metrics."""
    patterns = ("functions/*/app.py", f"{_LAYER}/edge/**/*.py", f"{_LAYER}/bootstrap/**/*.py")
    paths = {path for pattern in patterns for path in root.glob(pattern)}
    return sorted(paths - {root / TABLE})


def read_metric_names(root: Path) -> frozenset[str]:
    """Read the names of all metrics from the members of the class `Metric`."""
    tree = ast.parse((root / TABLE).read_text(encoding="utf-8"))
    [table] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Metric"]
    rows = [node.value for node in table.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)]
    return frozenset(str(ast.literal_eval(row.elts[0])) for row in rows)


def find_metric_literals(tree: ast.AST, names: frozenset[str]) -> Iterator[str]:
    """Yield every text that is a metric's name or is given as one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in names:
            yield node.value
        if not isinstance(node, ast.Call):
            continue
        yield from (text for argument in _metrics_in(node) for text in _texts_in(argument))
        for keyword in node.keywords:
            if keyword.arg == "name":
                yield from (text for text in _texts_in(keyword.value) if CAMEL_CASE.fullmatch(text))


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


def check(root: Path) -> Iterator[str]:
    """Yield every finding below `root`."""
    names = read_metric_names(root)
    for path in list_writers(root):
        for text in find_metric_literals(ast.parse(path.read_text(encoding="utf-8")), names):
            yield f"{path.relative_to(root)}: {text!r} belongs into {TABLE}"


if __name__ == "__main__":
    findings = list(check(Path.cwd()))
    print("\n".join(findings) or "metric names: no findings")
    sys.exit(bool(findings))

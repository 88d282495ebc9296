"""Check the language rules that no linter knows: docs/style.md.

Every function docstring starts with a verb from tools/verbs.txt, and no loop variable is called `each`. Run it from the
repository's root; it prints a line a finding and exits with 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DOCUMENTED: Final = ("layers/switchboard/python/switchboard", "functions", "sandbox", "tools")
CODE: Final = (*DOCUMENTED, "tests", "benchmarks")
VERBS: Final = Path(__file__).with_name("verbs.txt")


def find_docstrings_without_verb(tree: ast.AST, verbs: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield the line and the first word of each function docstring that starts with no known verb."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_property(node):
            continue
        docstring = ast.get_docstring(node)
        if docstring is not None:
            word = re.split(r"[^A-Za-z-]", docstring, maxsplit=1)[0]
            if word not in verbs:
                yield (
                    node.lineno,
                    f"`{node.name}`: the docstring starts with {word!r}, which is no verb of {VERBS.name}",
                )


def find_loops_over_each(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line of each loop whose variable is called `each`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            names = {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
            if "each" in names:
                yield node.target.lineno, "a loop variable is called `each`: use the element's noun"


def check(root: Path) -> Iterator[str]:
    """Yield every finding below `root` as `path:line: message`."""
    verbs = frozenset(VERBS.read_text(encoding="utf-8").split())
    for folder in CODE:
        for path in sorted((root / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            findings = list(find_loops_over_each(tree))
            if folder in DOCUMENTED:
                findings += find_docstrings_without_verb(tree, verbs)
            for line, message in sorted(findings):
                yield f"{path.relative_to(root)}:{line}: {message}"


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"property", "cached_property"})


if __name__ == "__main__":
    found = list(check(Path.cwd()))
    print("\n".join(found) or "language: no findings")
    sys.exit(bool(found))

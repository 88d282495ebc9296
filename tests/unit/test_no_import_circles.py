"""No module of the repository imports itself through other modules, not even for type checking."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("functions", "sandbox", "benchmarks", "tests")


def modules_below(folder: Path, *, root: Path) -> dict[str, Path]:
    """Return the files of `folder` by the names under which the modules of `root` import them."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in folder.rglob("*.py")
    }


def modules_of_repository() -> dict[str, Path]:
    """Return every Python file of the repository by its module name."""
    modules: dict[str, Path] = {}
    for folder in FOLDERS:
        modules |= modules_below(ROOT / folder, root=ROOT)
    for layer in ROOT.glob("layers/*/python"):
        modules |= modules_below(layer, root=layer)
    return modules


def imported_names(name: str, path: Path) -> Iterator[str]:
    """Yield the absolute names that a module imports anywhere, the body of `if TYPE_CHECKING` included.

    For `from package import member` the name is `package.member`: the member may be a module.
    """
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def import_graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return the modules that each module imports.

    A module depends on what its statements name. The packages around a named module are not counted, although Python
    runs them first: a package that re-exports its modules would otherwise always be a circle.
    """
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        dependencies = graph.setdefault(name, set())
        for imported in imported_names(name, path):
            module = imported if imported in modules else imported.rpartition(".")[0]
            if module in modules and module != name:
                dependencies.add(module)
    return graph


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the names along one import circle, an empty list if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        names: list[str] = error.args[1]
        return names
    return []


def test_the_repository_has_no_import_circle() -> None:
    graph = import_graph(modules_of_repository())

    circle = circle_in(graph)

    assert "sandbox.simulators.mediasms.control" in graph
    assert any(name.startswith("switchboard.") for name in graph)
    assert not circle, " -> ".join(circle)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("import package.one", id="import"),
        pytest.param("from package.one import A", id="name from a module"),
        pytest.param("from package import one", id="module from a package"),
        pytest.param("from . import one", id="relative module"),
        pytest.param("from .one import A", id="relative name"),
        pytest.param("if TYPE_CHECKING:\n    from package.one import A", id="for type checking"),
        pytest.param("def function():\n    from package import one", id="inside a function"),
    ],
)
def test_a_circle_is_found_however_it_is_written(tmp_path: Path, statement: str) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("from package.one import A\n")
    (package / "one.py").write_text("from package import two\n")
    (package / "two.py").write_text(f"{statement}\n")

    circle = circle_in(import_graph(modules_below(package, root=tmp_path)))

    assert set(circle) == {"package.one", "package.two"}


def test_a_package_that_re_exports_its_modules_is_no_circle(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("from package.one import A\n")
    (package / "one.py").write_text("from package.two import B\n")
    (package / "two.py").write_text("import json\n")

    assert circle_in(import_graph(modules_below(package, root=tmp_path))) == []

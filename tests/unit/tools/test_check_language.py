"""The language check finds what it is for and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools.check_language import check, find_docstrings_without_verb, find_loops_over_each

VERBS = frozenset({"Return", "Send"})


@pytest.mark.parametrize(
    ("docstring", "word"),
    [
        pytest.param("Where a message stands.", "Where", id="question word"),
        pytest.param("Returns the message.", "Returns", id="third person"),
        pytest.param("The message.", "The", id="noun phrase"),
        pytest.param("`Return` the message.", "", id="no word"),
    ],
)
def test_a_docstring_without_a_verb_is_found(docstring: str, word: str) -> None:
    tree = ast.parse(f'def shown():\n    """{docstring}"""\n')

    [(line, message)] = find_docstrings_without_verb(tree, VERBS)

    assert line == 1
    assert repr(word) in message


@pytest.mark.parametrize(
    "code",
    [
        pytest.param('def shown():\n    """Return the message."""\n', id="verb"),
        pytest.param("def shown():\n    return 1\n", id="no docstring"),
        pytest.param('class A:\n    """A message."""\n', id="class"),
        pytest.param('class A:\n    @property\n    def id(self):\n        """The id."""\n', id="property"),
    ],
)
def test_other_docstrings_are_fine(code: str) -> None:
    assert list(find_docstrings_without_verb(ast.parse(code), VERBS)) == []


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        pytest.param("for each in items:\n    pass\n", [1], id="loop"),
        pytest.param("x = [each for each in items]\n", [1], id="comprehension"),
        pytest.param("x = 1\nfor number, each in items:\n    pass\n", [2], id="tuple"),
        pytest.param("for item in each_item:\n    pass\n", [], id="another name"),
    ],
)
def test_a_loop_over_each_is_found(code: str, lines: list[int]) -> None:
    assert [line for line, _ in find_loops_over_each(ast.parse(code))] == lines


def test_a_finding_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tests" / "module.py"
    path.parent.mkdir()
    path.write_text("for each in ():\n    pass\n", encoding="utf-8")

    assert [finding.partition(" ")[0] for finding in check(tmp_path)] == ["tests/module.py:1:"]

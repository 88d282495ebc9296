"""A template with YAML anchors, aliases or merge keys is not deployed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.translated_template import ROOT, written_template
from tools.check_built_template import find_yaml_shortcuts, main


class _DumperWithoutAliases(yaml.SafeDumper):
    """Writes a repeated object out each time, as SAM CLI's dumper does."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        pytest.param("A: &a [1]\nB: 2", ["1: the anchor &a"], id="an anchor"),
        pytest.param("A: &a [1]\nB:\n  - *a", ["1: the anchor &a", "3: the alias *a"], id="an alias"),
        pytest.param("A:\n  <<: { B: 1 }", ["2: a merge key"], id="a merge key"),
        pytest.param('A: !Ref B\nC: { "<<": "&a", D: "*a" }', [], id="texts that only look like them"),
    ],
)
def test_each_yaml_shortcut_is_found_with_its_line(text: str, findings: list[str]) -> None:
    assert list(find_yaml_shortcuts(text)) == findings


def test_the_template_as_it_is_written_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ROOT / "template.yaml") == 1
    assert capsys.readouterr().out.endswith("Deploy the one that `sam build` writes.\n")


def test_the_template_as_sam_build_writes_it_is_accepted(tmp_path: Path) -> None:
    """`sam build` parses the template and writes it without aliases; `make build` checks the file that it wrote."""
    built = tmp_path / "template.yaml"
    built.write_text(yaml.dump(written_template(), Dumper=_DumperWithoutAliases), encoding="utf-8")

    assert main(built) == 0
    assert yaml.safe_load(built.read_text(encoding="utf-8")) == written_template()


def test_make_build_checks_the_built_template() -> None:
    assert "tools/check_built_template.py $(BUILT)/template.yaml" in (ROOT / "Makefile").read_text(encoding="utf-8")

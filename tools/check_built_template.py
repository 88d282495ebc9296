"""Check that CloudFormation can read the template that `sam build` has written.

template.yaml has YAML anchors, aliases and merge keys, which CloudFormation refuses. `sam build` writes them out. Run
this with the path of the built template. It prints a line a finding and exits with 1 if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import yaml


def find_yaml_shortcuts(text: str) -> Iterator[str]:
    """Yield each anchor, alias and merge key of a YAML text, with its line."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else "unknown line"
        if isinstance(event, yaml.AliasEvent):
            yield f"{line}: the alias *{event.anchor}"
            continue
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            yield f"{line}: the anchor &{event.anchor}"
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.style is None:
            yield f"{line}: a merge key"


def main(path: Path) -> int:
    """Print the findings, and return the exit status."""
    findings = list(find_yaml_shortcuts(path.read_text(encoding="utf-8")))
    for finding in findings:
        print(f"{path}:{finding}")
    if findings:
        print("CloudFormation can't read this template. Deploy the one that `sam build` writes.")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""What the pages link to or name exists: files, anchors, paths, make targets, tests, parameters and alarms."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from typing import Final

from tests.docs.pages import CODE, anchors_of, find_pages, links_of, list_files, read_page, read_prose
from tests.translated_template import ROOT, source

PACKAGE: Final = ROOT / "layers/switchboard/python/switchboard"
PAGES: Final = find_pages()
HISTORY: Final = "CHANGELOG.md"
"""It names what was, and may not be there any more."""
PRESENT: Final = tuple(page for page in PAGES if page != HISTORY)
CODE_PATH: Final = re.compile(r"(?:[\w.-]+/)+[\w.-]*\w/?")
STARTS: Final = frozenset(page.partition("/")[0] for page in list_files()) | {path.name for path in PACKAGE.iterdir()}
"""The first parts of paths in the repository, or in the package `switchboard`."""
NO_PATHS: Final = {
    "bulk/": "a prefix in a bucket",
    "backlog/": "a prefix in a bucket",
    "jobs/": "a prefix in a bucket",
}
CAMEL_CASE: Final = re.compile(r"(?:[A-Z][a-z0-9]+){2,}")
FOREIGN_NAMES: Final = frozenset({"ConnectionError", "TransactGetItems", "ParallelizationFactor"})
"""Names of Python, AWS and other systems that no source of ours spells."""
GONE: Final = frozenset({"WebhookTokensSecretName"})
"""Names of earlier versions, of which docs/upgrading.md says that they are gone."""


def find_file(page: str, target: str) -> str:
    """Return the path of a linked file in the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) if target else page


def test_every_link_leads_to_a_file_and_an_anchor() -> None:
    broken = []
    for page in PAGES:
        for link in links_of(page):
            target, _, anchor = link.partition("#")
            path = find_file(page, target)
            needs_anchor = bool(anchor) and path.endswith(".md")
            if not (ROOT / path).exists() or (needs_anchor and anchor not in anchors_of(path)):
                broken.append(f"{page}: {link}")

    assert broken == []


def test_every_path_that_a_page_names_exists() -> None:
    missing = [
        f"{page}: {code}"
        for page in PRESENT
        for code in CODE.findall(read_prose(page))
        if CODE_PATH.fullmatch(code) and code.partition("/")[0] in STARTS and code not in NO_PATHS
        if not any((folder / code).exists() for folder in (ROOT, PACKAGE))
    ]

    assert missing == []


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = {(page, target) for page in PRESENT for target in re.findall(r"`make ([a-z-]+)", read_page(page))}

    assert [named for named in targets if f"\n{named[1]}:" not in read_page("Makefile")] == []


def test_every_test_that_a_page_names_exists() -> None:
    paths = [name for name in list_files() if re.fullmatch(r"tests/.*/test_\w+\.py", name)]
    tests = {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}
    for name in re.findall(r"\b(?:tests/[\w/]+/)?test_\w+(?:\.py)?", "".join(map(read_page, PRESENT))):
        assert name in tests or any(f"def {name}(" in text for text in tests.values()), name


@cache
def find_source_names() -> frozenset[str]:
    """Return every word of the template, the code and the event schemas."""
    paths = [ROOT / "template.yaml", ROOT / "docs/openapi.yaml"]
    for folder in ("layers/switchboard/python/switchboard", "functions", "sandbox", "docs/events"):
        paths += [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".json"}]
    words = {word for path in paths for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    return frozenset(words | {word.replace("Changed", "Erased") for word in words})


def test_every_parameter_resource_or_class_that_a_page_names_exists() -> None:
    known = find_source_names() | source()["Resources"].keys() | FOREIGN_NAMES | GONE
    named = {(page, code) for page in PRESENT for code in CODE.findall(read_prose(page)) if CAMEL_CASE.fullmatch(code)}

    assert [f"{page}: {name}" for page, name in sorted(named) if name not in known] == []

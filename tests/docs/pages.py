"""Reads the Markdown pages: tables, sections, links and anchors."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from itertools import takewhile
from typing import Final

from tests.translated_template import ROOT

CODE: Final = re.compile(r"`([^`]+)`")
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_FENCE: Final = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)


@cache
def list_files() -> tuple[str, ...]:
    """Return every file of the repository that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).exists()))


def find_pages() -> tuple[str, ...]:
    """Return every Markdown page of the repository."""
    return tuple(name for name in list_files() if name.endswith(".md"))


@cache
def read_page(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def read_prose(page: str) -> str:
    """Return the text of a page without its blocks of code."""
    return _FENCE.sub("", read_page(page))


def table(*heading: str, page: str) -> list[list[str]]:
    """Return the rows of the page's only table with this heading."""
    lines = read_page(page).splitlines()
    heading_line = f"| {' | '.join(heading)} |"
    assert lines.count(heading_line) == 1, heading
    rows = takewhile(lambda line: line.startswith("|"), lines[lines.index(heading_line) + 2 :])
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def sections(page: str, *, level: int) -> list[tuple[str, str]]:
    """Return the title and the text of each section of a page with headings of this level."""
    parts = re.split(rf"^#{{{level}}} (.+)$", read_page(page), flags=re.MULTILINE)[1:]
    return [
        (title, re.split(rf"^#{{1,{level - 1}}} ", text, flags=re.MULTILINE)[0])
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def codes_in(cells: list[str]) -> list[str]:
    """Return every code span of some cells."""
    return [code for cell in cells for code in CODE.findall(cell)]


def links_of(page: str) -> list[str]:
    """Return the targets of a page's links within the repository."""
    targets = _LINK.findall(read_prose(page))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@cache
def anchors_of(page: str) -> frozenset[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", read_prose(page), flags=re.MULTILINE):
        text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        copies = len([anchor for anchor in anchors if re.fullmatch(rf"{re.escape(name)}(-\d+)?", anchor)])
        anchors.add(f"{name}-{copies}" if copies else name)
    return frozenset(anchors)

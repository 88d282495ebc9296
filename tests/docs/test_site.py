"""The site has every page, keeps its links, and loads nothing from the outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import find_pages
from tests.translated_template import ROOT
from tools.build_site import FRONT, find_outside, list_navigation, move_links


def test_the_navigation_leads_to_every_page() -> None:
    places = [FRONT.get(page) or page.removeprefix("docs/") for page in find_pages() if is_in_the_site(page)]

    assert set(places) - set(list_navigation(places)) == set()


def is_in_the_site(page: str) -> bool:
    return page in FRONT or page.startswith("docs/")


@pytest.mark.parametrize(
    ("name", "content", "outside"),
    [
        ("a.html", '<script src="https://unpkg.com/mermaid"></script>', ["https://unpkg.com/mermaid"]),
        ("a.html", '<link rel="stylesheet" href="//fonts.googleapis.com/css">', ["//fonts.googleapis.com/css"]),
        ("a.html", "<style>@font-face { src: url('https://f.example/a.woff') }</style>", ["https://f.example/a.woff"]),
        ("a.html", '<rapi-doc spec-url="https://api.example/a.yaml">', ["https://api.example/a.yaml"]),
        ("a.svg", '<svg><image href="http://p.example/a.png"/></svg>', ["http://p.example/a.png"]),
        ("a.css", "@import 'https://s.example/a.css';", ["https://s.example/a.css"]),
        ("a.html", '<a href="https://www.standardwebhooks.com/">a link</a><img src="a.svg">', []),
        ("a.css", "a { background: url(data:image/svg+xml;base64,AA==) }", []),
    ],
    ids=["script", "style sheet", "font", "OpenAPI", "picture", "import", "a link is no load", "data"],
)
def test_a_load_from_another_origin_is_found(tmp_path: Path, name: str, content: str, outside: list[str]) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")

    assert find_outside(path) == outside


@pytest.mark.parametrize("picture", sorted((ROOT / "docs/pictures").iterdir()), ids=lambda path: path.name)
def test_a_picture_loads_nothing_from_the_outside(picture: Path) -> None:
    assert find_outside(picture) == []


def test_links_hold_in_the_site() -> None:
    places = {"README.md": "index.md", "docs/guides/a.md": "guides/a.md", "docs/runbook.md": "runbook.md"}
    front = move_links("[a](docs/guides/a.md#b) [c](#d)", source=ROOT / "README.md", place="index.md", places=places)
    guide = move_links(
        "[a](../runbook.md)\n```sh\n[b](c)\n```", source=ROOT / "docs/guides/a.md", place="guides/a.md", places=places
    )

    assert front == "[a](guides/a.md#b) [c](#d)"
    assert guide == "[a](../runbook.md)\n```sh\n[b](c)\n```"


def test_the_readme_has_at_most_8_kilobytes() -> None:
    assert (ROOT / "README.md").stat().st_size <= 8192

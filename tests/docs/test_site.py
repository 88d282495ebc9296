"""The site has every page, keeps its links, and loads nothing from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import find_pages
from tests.translated_template import ROOT
from tools.build_site import API_VIEW, FRONT, api_script, find_outside, has_language, list_navigation, move_links


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


@pytest.mark.parametrize(
    ("place", "language", "right"),
    [("ja/deploy.html", "ja", True), ("ja/deploy.html", "en", False), ("a.html", "en", True), ("a.html", "ja", False)],
)
def test_a_page_below_ja_is_japanese_and_every_other_is_english(
    tmp_path: Path, place: str, language: str, right: bool
) -> None:
    page = tmp_path / place
    page.parent.mkdir(exist_ok=True)
    page.write_text(f'<!doctype html>\n<html lang="{language}" class="no-js">', encoding="utf-8")

    assert has_language(page) is right


def test_the_page_of_the_api_shows_its_document_without_a_request() -> None:
    _, _, document = api_script().partition("loadSpec(")

    assert json.loads(document.removesuffix(");")) == yaml.safe_load((ROOT / "docs/openapi.yaml").read_bytes())
    assert [word for word in (" spec-url=", 'type="module"') if word in API_VIEW] == []


def test_the_readme_has_at_most_8_kilobytes() -> None:
    assert (ROOT / "README.md").stat().st_size <= 8192

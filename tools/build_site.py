"""Build the pages of the repository as a site that makes no request to the outside: `make docs`.

The pages are copied to build/pages, with README.md as the front page, and Zensical builds build/site from them. The
API's page shows docs/openapi.yaml by RapiDoc, which comes with a locked package and is compared with its hash.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = ROOT / "build/pages"
SITE: Final = ROOT / "build/site"

FRONT: Final = {
    "README.md": "index.md",
    "README.ja.md": "ja/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""The pages outside docs/ by their places in the site."""

NAVIGATION: Final[dict[str, Any]] = {
    "Switchboard": "index.md",
    "Tutorial": "tutorial.md",
    "Guides": {
        "Send an SMS": "guides/send-sms.md",
        "Check a text": "guides/check-text.md",
        "Send many": "guides/send-many.md",
        "Send later, or not at all": "guides/send-later.md",
        "Verify a number": "guides/verify-number.md",
        "Place a call": "guides/place-call.md",
        "Recordings and transcripts": "guides/recordings.md",
        "Receive webhooks": "receive-webhooks.md",
        "Receive change events": "change-events.md",
        "Test clients": "guides/test-clients.md",
        "API keys": "guides/api-keys.md",
        "Script the sandbox": "guides/sandbox.md",
    },
    "Operate": {
        "Deploy": "guides/deploy.md",
        "A fixed address": "guides/fixed-address.md",
        "Guard the webhooks": "guides/guard-webhooks.md",
        "Connect MediaSMS": "guides/connect-mediasms.md",
        "Connect BIZTEL": "guides/connect-biztel.md",
        "Connect Baidu VMS": "guides/connect-baidu-vms.md",
        "Watch the deployment": "guides/watch.md",
        "Upgrade": "upgrading.md",
        "Runbook": "runbook.md",
    },
    "Reference": {
        "HTTP API": "reference/api.md",
        "States": "reference/states.md",
        "Errors": "reference/errors.md",
        "Change events": "reference/events.md",
        "Parameters": "reference/parameters.md",
        "Metrics and alarms": "reference/metrics.md",
        "The sandbox": "reference/sandbox.md",
        "Stored personal data": "reference/personal-data.md",
    },
    "Explanation": {
        "Architecture": "architecture.md",
        "Glossary": "glossary.md",
        "MediaSMS": "providers/mediasms.md",
        "BIZTEL": "providers/biztel.md",
        "Baidu VMS": "providers/baidu_vms.md",
        "A recogniser of your own": "providers/recognizer_http.md",
        "Decisions": "adr",
    },
    "Contribute": {
        "Contributing": "contributing.md",
        "Style": "style.md",
        "Add a provider": "adding_a_provider.md",
        "Security": "security.md",
        "Changes": "changelog.md",
    },
    "日本語": {
        "Switchboard": "ja/index.md",
        "チュートリアル": "ja/tutorial.md",
        "デプロイ": "ja/deploy.md",
        "MediaSMS側の設定": "ja/mediasms-console.md",
        "BIZTEL側の設定": "ja/biztel-console.md",
        "ランブック": "ja/runbook.md",
    },
}
"""The site's navigation. A page that is not there yet is left out, and a page that is not listed is an error."""

RAPIDOC: Final = "flask_openapi_rapidoc/templates/rapidoc/js/rapidoc-min.js"
RAPIDOC_SHA256: Final = "cd1e847ba5a90a423fe56e2e4c82a76005a3c7e1361df1f131a95151562c6ab7"  # pragma: allowlist secret
API_VIEW: Final = """\
<script src="../assets/rapidoc-min.js"></script>
<rapi-doc render-style="view" schema-style="table" color-scheme="light" load-fonts="false"
    show-header="false" show-info="false" show-side-nav="false" allow-try="false" allow-authentication="false"
    allow-server-selection="false" allow-spec-url-load="false" allow-spec-file-load="false"></rapi-doc>
<script src="../assets/openapi.js"></script>
"""
# A browser refuses each request to another origin.
PAGE_TEMPLATE: Final = """\
{% extends "base.html" %}
{% block site_meta %}
<meta http-equiv="Content-Security-Policy" content="default-src 'self'; script-src 'self' 'unsafe-inline' blob:;
 style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:">
{{ super() }}
{% endblock %}
"""
# Zensical has one language for all pages, and this template instead of its own.
LANGUAGE_TEMPLATE: Final = """\
{% set language = "ja" if page.url is startingwith("ja/") else "en" %}
{% import "partials/languages/" ~ language ~ ".html" as lang %}
{% import "partials/languages/en.html" as fallback %}
{% macro t(key) %}{{ lang.t(key) or fallback.t(key) or key }}{% endmacro %}
"""
STYLE: Final = ".md-typeset td:first-child code { white-space: nowrap }\n"
SETTINGS: Final[dict[str, Any]] = {
    "site_name": "Switchboard",
    "docs_dir": "pages",
    "site_dir": "site",
    "use_directory_urls": False,
    "extra_css": ["assets/names.css"],
    "theme": {
        "language": "ja",  # of the search, which then finds Japanese words; LANGUAGE_TEMPLATE decides for the pages
        "font": False,
        "custom_dir": "overrides",
        "features": ["content.code.copy", "navigation.indexes", "navigation.sections", "navigation.top", "toc.follow"],
    },
    "markdown_extensions": {
        "attr_list": {},
        "md_in_html": {},
        "tables": {},
        # As GitHub does, also for Japanese headings.
        "toc": {
            "permalink": True,
            "slugify": {"object": "pymdownx.slugs.slugify", "kwds": {"case": "lower"}},
            "toc_depth": 3,
        },
        "pymdownx": {"highlight": {}, "superfences": {}, "tilde": {"subscript": False}},
    },
}

_LINK: Final = re.compile(r"(\]\()([^)\s:]+)(\))")
_FENCE: Final = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)
_STYLE_URL: Final = re.compile(r"""(?:url\(|@import\s)\s*['"]?([^'")\s]+)""")
_OUTSIDE: Final = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
_LOADING_LINKS: Final = frozenset(
    {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "manifest"}
)


def main() -> int:
    """Build the site, and return the exit status."""
    for folder in (PAGES, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    places = copy_pages()
    faults = [f"{page}: not in the navigation" for page in sorted(set(places) - set(list_navigation(places)))]
    add_api_view()
    write_settings(places)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", "build/site.toml"]
    status = subprocess.run(command, check=False, cwd=ROOT).returncode
    built = sorted(path for path in SITE.rglob("*") if path.is_file())
    faults += [f"{path.relative_to(SITE)}: loads {url}" for path in built for url in find_outside(path)]
    faults += [f"{path.relative_to(SITE)}: wrong language" for path in built if not has_language(path)]
    for fault in faults:
        print(fault, file=sys.stderr)
    if status or faults:
        return 1
    print("The site is in build/site. To read it: python3 -m http.server --bind 127.0.0.1 --directory build/site")
    return 0


def copy_pages() -> list[str]:
    """Copy every page, with links that hold within the site, and return the places of the pages."""
    sources = {
        path: path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*") if path.is_file()
    }
    sources |= {ROOT / name: place for name, place in FRONT.items() if (ROOT / name).exists()}
    places = {source.relative_to(ROOT).as_posix(): place for source, place in sources.items()}
    for source, place in sources.items():
        target = PAGES / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            text = source.read_text(encoding="utf-8")
            target.write_text(move_links(text, source=source, place=place, places=places), encoding="utf-8")
        else:
            shutil.copyfile(source, target)
    return [place for place in sources.values() if place.endswith(".md")]


def move_links(text: str, *, source: Path, place: str, places: dict[str, str]) -> str:
    """Return a page's text with each link as it is from the page's place in the site."""

    def move(match: re.Match[str]) -> str:
        target, sharp, anchor = match[2].partition("#")
        if not target:
            return match[0]
        path = posixpath.normpath(posixpath.join(source.parent.relative_to(ROOT).as_posix(), target))
        if path not in places and not (ROOT / path).is_file():
            return match[0]  # Zensical says that it leads nowhere
        moved = places.get(path) or copy_file(path)
        return match[1] + posixpath.relpath(moved, posixpath.dirname(place) or ".") + sharp + anchor + match[3]

    parts = _FENCE.split(text)
    parts[::2] = [_LINK.sub(move, part) for part in parts[::2]]
    return "".join(parts)


def copy_file(path: str) -> str:
    """Copy a file that is no page into the site as text, and return its place."""
    place = f"files/{path}.txt"
    target = PAGES / place
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
    return place


def add_api_view() -> None:
    """Put RapiDoc into the page of the API.

    Raises:
        ValueError: the package brings another RapiDoc than the one that was looked at.
    """
    program = Path(sysconfig.get_path("purelib"), RAPIDOC).read_bytes()
    if hashlib.sha256(program).hexdigest() != RAPIDOC_SHA256:
        raise ValueError(f"{RAPIDOC} has another hash than expected")
    (PAGES / "assets").mkdir(exist_ok=True)
    # A page that is opened as a file may run a script beside it, but neither import a module nor fetch the YAML.
    script = b'(() => {"use strict";' + program.rpartition(b"export{")[0] + b"})();"
    (PAGES / "assets/rapidoc-min.js").write_bytes(script)
    (PAGES / "assets/openapi.js").write_text(api_script(), encoding="utf-8")
    page = PAGES / "reference/api.md"
    text = page.read_text(encoding="utf-8").replace("<!-- rapidoc -->", API_VIEW)
    page.write_text(f"---\nhide: [toc]\n---\n\n{text}", encoding="utf-8")


def api_script() -> str:
    """Return the script that gives docs/openapi.yaml to RapiDoc."""
    document = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text(encoding="utf-8"))
    return f'document.querySelector("rapi-doc").loadSpec({json.dumps(document)});'


def list_navigation(places: list[str], navigation: dict[str, Any] = NAVIGATION) -> Iterator[str]:
    """Yield the place of every page that the navigation leads to."""
    for entry in navigation.values():
        if isinstance(entry, dict):
            yield from list_navigation(places, entry)
        else:
            yield from (place for place in places if place == entry or place.startswith(f"{entry}/"))


def write_settings(places: list[str]) -> None:
    """Write Zensical's settings, and the template and the style that all pages have in common."""
    overrides = ROOT / "build/overrides"
    (overrides / "partials").mkdir(parents=True, exist_ok=True)
    (overrides / "partials/language.html").write_text(LANGUAGE_TEMPLATE, encoding="utf-8")
    (overrides / "main.html").write_text(PAGE_TEMPLATE, encoding="utf-8")
    (PAGES / "assets/names.css").write_text(STYLE, encoding="utf-8")
    settings = {"project": {**SETTINGS, "nav": _to_nav(NAVIGATION, sorted(places))}}
    lines = "\n".join(f"{json.dumps(name)} = {_to_toml(value)}" for name, value in settings["project"].items())
    (ROOT / "build/site.toml").write_text(f"[project]\n{lines}\n", encoding="utf-8")


def _to_nav(navigation: dict[str, Any], places: list[str]) -> list[Any]:
    nav: list[Any] = []
    for title, entry in navigation.items():
        if isinstance(entry, dict):
            nav += [{title: pages}] if (pages := _to_nav(entry, places)) else []
        elif not entry.endswith(".md"):
            nav.append({title: [place for place in places if place.startswith(f"{entry}/")][::-1]})
            nav[-1][title].sort(key=lambda place: place.replace("README", "0"))
        elif entry in places:
            nav.append({title: entry})
    return nav


def _to_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_to_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_to_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class _Loads(HTMLParser):
    """Collects the URLs that a browser loads with a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.styles: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.urls += [values[name] for name in ("src", "srcset", "data", "poster", "spec-url") if name in values]
        self.styles.append(values.get("style", ""))
        if tag == "link" and _LOADING_LINKS & set(values.get("rel", "").split()):
            self.urls.append(values.get("href", ""))
        if tag in {"image", "use"}:
            self.urls += [values.get("href", ""), values.get("xlink:href", "")]

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)


def find_outside(path: Path) -> list[str]:
    """Return the URLs of other origins that a browser loads with a page, a picture or a style sheet."""
    if path.suffix not in {".html", ".svg", ".css"}:
        return []
    text = path.read_text(encoding="utf-8")
    loads = _Loads()
    if path.suffix == ".css":
        loads.styles.append(text)
    else:
        loads.feed(text)
    urls = loads.urls + [url for style in loads.styles for url in _STYLE_URL.findall(style)]
    return [url for url in urls if _OUTSIDE.match(url)]


def has_language(path: Path) -> bool:
    """Tell whether a page of the site declares its language. What is no page has none."""
    language = "ja" if path.parent.name == "ja" else "en"
    return path.suffix != ".html" or f'<html lang="{language}"' in path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

"""The Japanese pages name what exists, and say in commands, figures and links what the English pages say."""

from __future__ import annotations

import csv
import re
from functools import cache
from typing import Any, Final

import pytest
import yaml

from switchboard.edge.call_action_replies import accepted_reply
from tests.docs.pages import codes_in, find_pages, links_of, read_page, read_prose
from tests.translated_template import ROOT, STACK_NAME, source, written_template

README: Final = "README.ja.md"
TUTORIAL: Final = "docs/ja/tutorial.md"
GUIDE: Final = "docs/ja/deploy.md"
RUNBOOK: Final = "docs/ja/runbook.md"
PAGES: Final = tuple(page for page in find_pages() if page == README or page.startswith("docs/ja/"))
ENGLISH_GUIDES: Final = tuple(
    f"docs/guides/{name}.md" for name in ("deploy", "api-keys", "fixed-address", "guard-webhooks")
)
"""The English pages that docs/ja/deploy.md unites, in its order."""
BIZTEL_PAGE: Final = "docs/ja/biztel-console.md"
BIZTEL_GUIDE: Final = "docs/guides/connect-biztel.md"
IN_JAPANESE: Final = {
    "README.ja.md": "README.md",
    "docs/tutorial.md": "docs/ja/tutorial.md",
    "docs/guides/connect-biztel.md": "docs/ja/biztel-console.md",
    "docs/guides/connect-mediasms.md": "docs/ja/mediasms-console.md",
    "docs/guides/connect-baidu-vms.md": "docs/ja/deploy.md",
    "docs/guides/deploy.md": "docs/ja/deploy.md",
    "docs/guides/fixed-address.md": "docs/ja/deploy.md",
    "docs/guides/guard-webhooks.md": "docs/ja/deploy.md",
    "docs/runbook.md": "docs/ja/runbook.md",
}
"""The page to which the Japanese README links instead of an English one. Each README links to the other."""
MAX_README_BYTES: Final = 12 * 1024

COMMENT: Final = re.compile(r"(^|\s+)# .*$", flags=re.MULTILINE)
CAMEL_CASE: Final = re.compile(r"[A-Z][a-z]+(?:[A-Z][A-Za-z]*)+")
ROUTE: Final = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/v1/[^?\s]*)(?:\?.*)?")
JAPANESE: Final = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
OF_PROVIDERS: Final = {"POST /v1/call", "sXXXXXXXXXXXX.u.biztel.jp", "https://{FQDN}:8000", "Token"}
"""Code spans that are Baidu's or BIZTEL's own, in the spelling of their documents."""


def blocks_of(*pages: str, language: str = r"\w+") -> list[str]:
    """Return the code blocks of some pages in one or any language, without comments and indentation."""
    fence = re.compile(rf"^ *```{language}\n(.*?)^ *```$", flags=re.MULTILINE | re.DOTALL)
    blocks = fence.findall("".join(map(read_page, pages)))
    lines = (COMMENT.sub("", block).splitlines() for block in blocks)
    return ["\n".join(line.strip() for line in block if line.strip()) for block in lines]


def tables_of(page: str) -> list[list[list[str]]]:
    """Return the rows of each table of a page, the heading among them, without the line of dashes."""
    tables = re.findall(r"(?:^ *\|.*\n)+", read_page(page), flags=re.MULTILINE)
    return [
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]] for line in rows]
        for rows in (re.sub(r"^[| -]+\n", "", table, flags=re.MULTILINE).splitlines() for table in tables)
    ]


def table_with(page: str, *heading: str) -> dict[str, list[str]]:
    """Return the further cells of each row by the first one, of the page's only table whose heading begins so."""
    [rows] = [rows for rows in tables_of(page) if tuple(rows[0][: len(heading)]) == heading]
    return {row[0]: row[1:] for row in rows[1:]}


@cache
def names_of_the_template() -> frozenset[str]:
    """Return every name that template.yaml gives: parameters, resources, outputs, mappings and sections."""
    template = source()
    outputs = written_template()["Outputs"]
    return frozenset({*template["Parameters"], *template["Resources"], *outputs, *template["Mappings"], *template})


@cache
def secrets_of_the_template() -> frozenset[str]:
    """Return the names of the template's secrets below the stack's name."""
    secrets = (r for r in source()["Resources"].values() if r["Type"] == "AWS::SecretsManager::Secret")
    return frozenset(secret["Properties"]["Name"]["Fn::Sub"].removeprefix("${AWS::StackName}/") for secret in secrets)


@cache
def codes_of_baidu() -> frozenset[str]:
    """Return the error codes of Baidu's document."""
    with (ROOT / "tests/specs/baidu_vms_error_codes.csv").open(encoding="utf-8") as rows:
        return frozenset(row["code"] for row in csv.DictReader(rows))


@cache
def openapi() -> dict[str, Any]:
    """Return docs/openapi.yaml."""
    document: dict[str, Any] = yaml.safe_load(read_page("docs/openapi.yaml"))
    return document


@cache
def english_text() -> str:
    """Return what the English pages, the reference, the template and the tables of the documents say."""
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "tests/specs").glob("*.csv")]
    others = ["README.md", "CONTRIBUTING.md", "docs/openapi.yaml", "template.yaml", "Makefile", "samconfig.toml"]
    texts = [path.read_text(encoding="utf-8") for path in pages if path.parent.name != "ja"]
    return " ".join(" ".join([*texts, *map(read_page, others)]).split())


def is_named(code: str) -> bool:
    """Tell whether a code span stands for something that exists."""
    if code in {*OF_PROVIDERS, accepted_reply().body} or JAPANESE.search(code):
        return True
    if route := ROUTE.fullmatch(code):
        return route[1].lower() in openapi()["paths"].get(route[2], {})
    if code.startswith("{ApiUrl}/v1"):
        path = code.removeprefix("{ApiUrl}").partition("?")[0]
        return path in {"/v1", *openapi()["paths"]}
    if CAMEL_CASE.fullmatch(code):
        return code in names_of_the_template() | codes_of_baidu()
    if code.startswith(f"{STACK_NAME}/"):
        return code.removeprefix(f"{STACK_NAME}/") in secrets_of_the_template()
    return re.search(rf"(?<!\w){re.escape(code)}(?!\w)", english_text()) is not None


@pytest.mark.parametrize("page", PAGES)
def test_everything_in_code_style_on_a_japanese_page_exists(page: str) -> None:
    codes = codes_in([read_prose(page)])

    assert codes
    assert [code for code in codes if not is_named(code)] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_japanese_page_has_half_width_letters_and_japanese_commas(page: str) -> None:
    assert re.findall(r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff0c\uff0e]", read_page(page)) == []


def test_the_japanese_guide_has_the_commands_of_the_english_guides() -> None:
    assert blocks_of(GUIDE) == blocks_of(*ENGLISH_GUIDES, language="bash")


def test_the_japanese_tutorial_has_the_commands_and_answers_of_the_english_one() -> None:
    japanese, english = (blocks_of(page, language="(?:sh|text)") for page in (TUTORIAL, "docs/tutorial.md"))

    assert japanese == english != []


def test_the_japanese_guide_lists_parameters_with_their_defaults_in_order() -> None:
    parameters = source()["Parameters"]
    rows = table_with(GUIDE, "パラメータ")

    names = codes_in(list(rows))
    assert names == [name for name in parameters if name in names]
    for cell, (defaults, _) in rows.items():
        for name, listed in zip(codes_in([cell]), defaults.split("、"), strict=True):
            default = str(parameters[name]["Default"])
            assert listed in {f"`{default}`", "空" if not default else "公開されている連携例のURL"}, name


def test_the_japanese_guide_lists_every_secret_once() -> None:
    listed = codes_in(list(table_with(GUIDE, "シークレット")))

    assert sorted(listed) == sorted(secrets_of_the_template())


def test_the_japanese_page_has_the_call_action_of_the_english_guide() -> None:
    english = table_with(BIZTEL_GUIDE, "field")
    japanese = table_with(BIZTEL_PAGE, "項目", "入力値")

    assert japanese["URL"][0] == codes_in(english["URL"])[0].join("``")
    assert japanese["エラー判定パターン"][0] == english["エラー判定パターン (error pattern)"][0]
    assert f"`{accepted_reply().body}`" in japanese["エラー判定パターン"][1]
    assert japanese["メソッド"][0] == english["メソッド (method)"][0]


def test_the_japanese_runbook_lists_every_alarm_once_with_its_section() -> None:
    alarms = [name for name, resource in source()["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    rows = [row[0] for table in tables_of(RUNBOOK) if table[0][0] == "アラーム" for row in table[1:]]

    assert sorted(rows) == sorted(f"[`{alarm}`](../runbook.md#{alarm.lower()})" for alarm in alarms)


def test_the_japanese_readme_has_the_sections_and_blocks_of_the_english_one() -> None:
    japanese, english = map(read_prose, (README, "README.md"))

    assert re.findall(r"^#+(?= )", japanese, flags=re.MULTILINE) == re.findall(r"^#+(?= )", english, flags=re.MULTILINE)
    assert blocks_of(README) == blocks_of("README.md")
    assert len(read_page(README).encode()) <= MAX_README_BYTES


def test_the_japanese_readme_links_to_what_the_english_one_links_to() -> None:
    english, japanese = ([link.partition("#")[0] for link in links_of(page)] for page in ("README.md", README))

    assert japanese == [IN_JAPANESE.get(target, target) for target in english]


def test_the_feature_matrices_of_both_readmes_fill_the_same_cells() -> None:
    [english], [japanese] = tables_of("README.md"), tables_of(README)

    assert [[(cell == "–", codes_in([cell])) for cell in row] for row in japanese] == [
        [(cell == "–", codes_in([cell])) for cell in row] for row in english
    ]

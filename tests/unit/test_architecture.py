"""What import-linter cannot see: handlers, which are no package, and what loading one of them brings along."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.translated_template import ROOT

LAYER: Final = ROOT / "layers" / "switchboard" / "python"
HANDLERS: Final = sorted(ROOT.glob("functions/*/app.py"))
DOMAIN: Final = sorted((LAYER / "switchboard" / "domain").rglob("*.py"))
HANDLERS_MAY_IMPORT: Final = ("switchboard.bootstrap", "switchboard.domain", "switchboard.edge", "switchboard.usecases")


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, as `package.module` also where only a name is taken from the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written out"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names) if module == "switchboard" else (module,)


def test_there_are_handlers_and_a_domain_to_look_at() -> None:
    assert len(HANDLERS) >= 5
    assert len(DOMAIN) >= 5


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_knows_neither_aws_nor_the_network_nor_the_environment(path: Path) -> None:
    for module in imports_of(path):
        ours = module.startswith(HANDLERS_MAY_IMPORT)
        assert ours or module in {"http", "typing"} or module.startswith("aws_lambda_powertools"), module


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_is_short_and_leaves_errors_to_the_edge(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 50
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Try)]


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.relative_to(LAYER).as_posix())
def test_the_domain_needs_the_standard_library_and_itself(path: Path) -> None:
    for module in imports_of(path):
        assert module.startswith("switchboard.domain") or module.split(".")[0] in sys.stdlib_module_names, module


@pytest.mark.parametrize(
    ("application", "unwanted"),
    [
        ("mediasms_delivery_webhook", {"pydantic", "switchboard.providers.transport", "switchboard.edge.api.sms"}),
        (
            "mediasms_ivr_webhook",
            {
                "pydantic",
                "switchboard.providers.transport",
                "switchboard.edge.api.verifications",
                "switchboard.storage.verification.store",
            },
        ),
        ("check_verification", {"switchboard.providers.transport", "switchboard.providers.mediasms.client"}),
        (
            "biztel_call_action_webhook",
            {"pydantic", "switchboard.providers.transport", "switchboard.edge.api.sms", "boto3.dynamodb"},
        ),
        ("query_recordings", {"pydantic", "switchboard.providers.transport", "switchboard.providers.biztel.client"}),
        ("query", {"switchboard.providers.transport", "switchboard.providers.mediasms.client"}),
        ("query_status", {"pydantic", "switchboard.providers.transport", "switchboard.providers.mediasms.client"}),
        ("sweep_overdue", {"pydantic", "switchboard.providers.transport", "switchboard.providers.mediasms.client"}),
    ],
)
def test_a_cold_start_does_not_pay_for_what_its_function_does_not_need(application: str, unwanted: set[str]) -> None:
    """Loads the handler in an interpreter of its own, as Lambda does before the first request."""
    code = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(LAYER)!r})\n"
        f"runpy.run_path({str(ROOT / 'functions' / application / 'app.py')!r})\n"
        f"print(sorted({unwanted | {'requests'}!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"

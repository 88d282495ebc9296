"""The rules that import-linter cannot check: handlers, the composition root, and what loading a handler imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Final

import pytest

from tests.translated_template import (
    REGION,
    ROOT,
    environment_of,
    function_folders,
    references_in,
    resolve_references,
    source,
)

LAYER: Final = ROOT / "layers" / "switchboard" / "python"
HANDLERS: Final = sorted(ROOT.glob("functions/*/app.py"))
BOOTSTRAP: Final = LAYER / "switchboard" / "bootstrap"
DOMAIN: Final = sorted((LAYER / "switchboard" / "domain").rglob("*.py"))
HANDLERS_MAY_IMPORT: Final = ("switchboard.bootstrap", "switchboard.domain", "switchboard.edge", "switchboard.usecases")
NO_BODY_AND_NO_SENDING: Final = frozenset(
    {"pydantic", "switchboard.providers.transport", "switchboard.providers.mediasms.client"}
)
API_FUNCTIONS: Final = {"parse_body", "parse_filter", "to_json", "page_to_json", "to_reply"}


def imports_of(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, `switchboard.module` for a module taken from the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names) if module == "switchboard" else (module,)


def functions_in(path: Path) -> set[str]:
    """Return the names of a module's public functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}


def test_there_are_handlers_and_domain_modules() -> None:
    assert len(HANDLERS) >= 5
    assert len(DOMAIN) >= 5


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_imports_no_aws_network_or_environment(path: Path) -> None:
    for module in imports_of(path):
        ours = module.startswith(HANDLERS_MAY_IMPORT)
        assert ours or module in {"http", "typing"} or module.startswith("aws_lambda_powertools"), module


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_is_short_and_leaves_errors_to_the_edge(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 50
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Try)]


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_has_its_own_bootstrap_module(path: Path) -> None:
    roots = {module for module in imports_of(path) if module.startswith("switchboard.bootstrap")}

    assert roots == {f"switchboard.bootstrap.{path.parent.name}"}


def test_every_bootstrap_module_belongs_to_a_handler() -> None:
    modules = {path.stem for path in BOOTSTRAP.glob("*.py")} - {"__init__"}

    assert modules == {path.parent.name for path in HANDLERS}


@pytest.mark.parametrize(
    "path", sorted(BOOTSTRAP.rglob("*.py")), ids=lambda path: path.relative_to(BOOTSTRAP).as_posix()
)
def test_a_class_of_the_composition_root_has_no_methods(path: Path) -> None:
    classes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef)]

    assert not [
        f"{class_.name}.{member.name}"
        for class_ in classes
        for member in class_.body
        if isinstance(member, ast.FunctionDef)
    ]


@pytest.mark.parametrize(
    ("module", "functions"),
    [
        ("sms", API_FUNCTIONS - {"parse_body"}),
        ("verifications", API_FUNCTIONS - {"parse_body"}),
        ("voice_calls", API_FUNCTIONS - {"parse_body"}),
        ("bodies/sms", {"parse_body"}),
        ("bodies/verifications", {"parse_body"}),
        ("bodies/voice_calls", {"parse_body"}),
        ("recordings", API_FUNCTIONS - {"to_reply"}),
        ("status", {"parse_filter", "to_json"}),
    ],
)
def test_the_api_modules_have_equal_function_names(module: str, functions: set[str]) -> None:
    names = functions_in(LAYER / "switchboard" / "edge" / "api" / f"{module}.py")

    assert names & API_FUNCTIONS == functions
    assert all(name.startswith(("parse_", "validate_")) or "to_" in name for name in names)


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.relative_to(LAYER).as_posix())
def test_the_domain_imports_only_itself_and_the_standard_library(path: Path) -> None:
    for module in imports_of(path):
        assert module.startswith("switchboard.domain") or module.split(".")[0] in sys.stdlib_module_names, module


@pytest.mark.parametrize(
    ("application", "unwanted"),
    [
        (
            "mediasms_delivery_webhook",
            {
                "pydantic",
                "switchboard.providers.transport",
                "switchboard.edge.api.sms",
                "switchboard.domain.orders",
                "switchboard.domain.verification.verifications",
                "switchboard.domain.voice_calls",
            },
        ),
        (
            "mediasms_ivr_webhook",
            {
                "pydantic",
                "switchboard.providers.transport",
                "switchboard.edge.api.verifications",
                "switchboard.storage.verification.store",
            },
        ),
        ("baidu_vms_webhook", {"pydantic", "switchboard.providers.transport", "switchboard.edge.api.voice_calls"}),
        (
            "check_verification",
            NO_BODY_AND_NO_SENDING,
        ),
        (
            "cancel_verification",
            NO_BODY_AND_NO_SENDING,
        ),
        ("cancel_sms", NO_BODY_AND_NO_SENDING),
        ("suppressions", NO_BODY_AND_NO_SENDING),
        (
            "biztel_call_action_webhook",
            {"pydantic", "switchboard.providers.transport", "switchboard.edge.api.sms", "boto3.dynamodb"},
        ),
        ("query_recordings", {"pydantic", "switchboard.providers.transport", "switchboard.providers.biztel.client"}),
        ("query", NO_BODY_AND_NO_SENDING),
        ("query_status", NO_BODY_AND_NO_SENDING),
        ("sweep_overdue", NO_BODY_AND_NO_SENDING),
    ],
)
def test_a_cold_start_loads_only_what_its_function_needs(application: str, unwanted: Set[str]) -> None:
    assert cold_start(application, f"sorted({set(unwanted) | {'requests'}!r} & set(sys.modules))") == "[]"


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_garbage_collection_spares_the_imports_and_goes_on_after_them(path: Path) -> None:
    assert cold_start(path.parent.name, "gc.isenabled(), gc.get_freeze_count() > 10_000") == "True True"


def test_outside_lambda_an_import_leaves_garbage_collection_alone() -> None:
    # Python 3.12 itself freezes a few hundred objects when it starts.
    assert cold_start("query", "gc.isenabled(), gc.get_freeze_count() > 10_000", in_lambda=False) == "True False"


@pytest.mark.parametrize("sender", ["send_sms", "start_verification", "place_call", "send_queued_sms"])
def test_a_sender_starts_without_a_detector_of_encodings(sender: str) -> None:
    loaded = "[name for name in ('requests', 'charset_normalizer') if sys.modules.get(name)]"

    assert cold_start(sender, loaded) == "['requests']"


def test_a_cold_start_looks_for_no_plug_ins_of_pydantic() -> None:
    assert cold_start("send_sms", "sys.modules['pydantic.plugin._loader']._plugins") == "None"


def cold_start(function: str, result: str, *, in_lambda: bool = True) -> str:
    """Load a handler and build its application in an interpreter of its own; return what it prints of `result`."""
    code = (
        "import gc, runpy, sys\n"
        f"sys.path.insert(0, {str(LAYER)!r})\n"
        f"runpy.run_path({str(ROOT / 'functions' / function / 'app.py')!r})['application']()\n"
        f"print({result})\n"
    )
    [logical_id] = [name for name, folder in function_folders().items() if folder == function]
    variables = environment_of(logical_id)
    # The names of resources, and the parameters without a default.
    references = {
        name: f"https://{name.lower()}.example"
        for name in references_in(variables)
        if "Default" not in source()["Parameters"].get(name, {})
    }
    environment = {**resolve_references(variables, references=references), "AWS_DEFAULT_REGION": REGION}
    if in_lambda:
        environment["AWS_LAMBDA_FUNCTION_NAME"] = function
    completed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert not completed.stderr
    return completed.stdout.strip()

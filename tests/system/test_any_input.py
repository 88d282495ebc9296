"""Valid and invalid requests generated from the OpenAPI document: never a 5xx, never an undocumented answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sandbox.endpoints import WEBHOOKS
from tests.depth import at_depth
from tests.system.conftest import TIMEOUT_S, Api

DOCUMENT = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.yaml")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(autouse=True)
def _lift_suppressions(api: Api) -> Iterator[None]:
    """Leave no number suppressed that other tests send to."""
    yield
    for suppression in api.get("/suppressions?limit=100").json()["items"]:
        assert api.request("DELETE", f"/suppressions/{quote(suppression['number'])}").status_code == 204


def define_test(label: str) -> Any:
    """Define the test of one operation, for instance `POST /v1/sms`."""

    @DOCUMENT.include(name=label).parametrize()
    @settings(max_examples=at_depth(usual=6, proof=40), deadline=None, suppress_health_check=list(HealthCheck))
    def test(api: Api, case: schemathesis.Case[Any]) -> None:
        if "token" in case.path_parameters:
            [webhook] = [name for name, path in WEBHOOKS.items() if label.endswith(f" {path}")]
            case.path_parameters["token"] = api.endpoints.webhook_tokens[webhook]
        headers = {"x-api-key": api.endpoints.api_key}
        response = case.call(base_url=api.endpoints.api_url, headers=headers, timeout=TIMEOUT_S)
        case.validate_response(response, checks=CHECKS)

    return test


# Each operation has a function of its own. All tests of one function would have one node id, and pytest-xdist runs one
# test for each node id.
for result in DOCUMENT.get_all_operations():
    operation = result.ok()  # type: ignore[union-attr]  # the document is valid: `make check` validates it
    name = re.sub(r"[^a-z]+", "_", operation.label.lower()).strip("_")
    globals()[f"test_{name}_gives_only_documented_answers"] = define_test(operation.label)

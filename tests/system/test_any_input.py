"""Valid and invalid requests generated from the OpenAPI document: never a 5xx, never an undocumented answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

if TYPE_CHECKING:
    from tests.system.conftest import Api

pytestmark = pytest.mark.xdist_group("sandbox")

DOCUMENT = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.yaml")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@DOCUMENT.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_to_a_generated_request_is_documented(api: Api, case: schemathesis.Case[Any]) -> None:
    if "token" in case.path_parameters:
        case.path_parameters["token"] = api.endpoints.webhook_token
    response = case.call(base_url=api.endpoints.api_url, headers={"x-api-key": api.endpoints.api_key})
    case.validate_response(response, checks=CHECKS)

"""Who gets in, and what the gateway and the environments give away."""

from __future__ import annotations

import json
import re
from typing import Final

from tests.translated_template import (
    environment_of,
    function_folders,
    operations,
    resources_of,
    translated,
)

FUNCTIONS: Final = sorted(function_folders())


def test_secrets_are_named_in_environments_and_their_values_stand_nowhere() -> None:
    text = json.dumps(translated())

    assert "resolve:secretsmanager" not in text
    assert "resolve:ssm-secure" not in text
    for name in FUNCTIONS:
        for variable in environment_of(name):
            assert not re.search("PASSWORD|TOKEN$|TOKENS$|_KEY|SECRET$|CREDENTIAL", variable), variable
    for properties in resources_of("AWS::SecretsManager::Secret").values():
        assert "SecretString" not in properties


def test_secrets_open_nothing_as_they_are_created() -> None:
    tokens = resources_of("AWS::SecretsManager::Secret")["WebhookTokensSecret"]["GenerateSecretString"]
    mediasms = resources_of("AWS::SecretsManager::Secret")["MediaSmsSecret"]["GenerateSecretString"]

    assert json.loads(tokens["SecretStringTemplate"]) == {"tokens": []}
    assert tokens["GenerateStringKey"] != "tokens"
    baidu = resources_of("AWS::SecretsManager::Secret")["BaiduVmsSecret"]["GenerateSecretString"]
    assert {*json.loads(mediasms["SecretStringTemplate"]), mediasms["GenerateStringKey"]} == {"user", "password"}
    assert {*json.loads(baidu["SecretStringTemplate"]), baidu["GenerateStringKey"]} == {"ak", "sk"}


def test_only_webhooks_are_reached_without_a_key() -> None:
    keyless = {path for (path, _), each in operations().items() if {"api_key": []} not in each.get("security", [])}

    assert keyless
    assert all(path.startswith("/webhooks/") and "{token}" in path for path in keyless)
    webhooks = {path for path, _ in operations() if path.startswith("/webhooks/")}
    assert keyless == webhooks


def test_every_webhook_is_reached_by_get_and_by_post() -> None:
    for path in {path for path, _ in operations() if path.startswith("/webhooks/")}:
        assert {method for each, method in operations() if each == path} == {"get", "post"}


def test_keys_come_with_a_usage_plan_that_throttles() -> None:
    [plan] = resources_of("AWS::ApiGateway::UsagePlan").values()

    assert {"RateLimit", "BurstLimit"} <= set(plan["Throttle"])


def test_access_logs_hold_neither_path_nor_query_nor_key() -> None:
    [stage] = resources_of("AWS::ApiGateway::Stage").values()
    written = set(re.findall(r"\$context\.[A-Za-z.]+", stage["AccessLogSetting"]["Format"]))

    assert written <= {
        "$context.requestId",
        "$context.extendedRequestId",
        "$context.resourcePath",
        "$context.httpMethod",
        "$context.status",
        "$context.responseLatency",
        "$context.integrationLatency",
        "$context.responseLength",
        "$context.requestTime",
        "$context.error.responseType",
    }
    assert json.loads(re.sub(r"\$context[A-Za-z.]+", "x", stage["AccessLogSetting"]["Format"]))


def test_the_gateways_own_execution_log_is_off() -> None:
    [stage] = resources_of("AWS::ApiGateway::Stage").values()

    for each in stage["MethodSettings"]:
        assert each["DataTraceEnabled"] is False
        assert each.get("LoggingLevel", "OFF") == "OFF"
    assert not stage.get("TracingEnabled")


def test_the_gateways_own_refusals_are_problems_too() -> None:
    [api] = resources_of("AWS::ApiGateway::RestApi").values()
    responses = api["Body"]["x-amazon-apigateway-gateway-responses"]

    assert {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "INVALID_API_KEY"} <= set(responses)
    for kind, response in responses.items():
        assert response["responseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        template = response["responseTemplates"]["application/json"]
        body = json.loads(re.sub(r'"?\$context[A-Za-z.]+"?', '"x"', template))
        assert {"type", "title", "status", "detail", "code"} <= set(body), kind
        if "statusCode" in response:
            assert str(body["status"]) == response["statusCode"], kind
        if response.get("statusCode") == "429":
            assert "gatewayresponse.header.Retry-After" in response["responseParameters"]


def test_bodies_arrive_as_the_bytes_they_are() -> None:
    [api] = resources_of("AWS::ApiGateway::RestApi").values()

    assert api["Body"]["x-amazon-apigateway-binary-media-types"] == ["*/*"]

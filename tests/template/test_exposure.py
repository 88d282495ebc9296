"""Access to the API, and what the gateway and the environments reveal."""

from __future__ import annotations

import json
import re
from typing import Final

from tests.translated_template import (
    environment_of,
    function_folders,
    operations,
    resources_of,
    translate_template,
)

FUNCTIONS: Final = sorted(function_folders())


def test_environments_name_secrets_and_no_secret_value_is_in_the_template() -> None:
    text = json.dumps(translate_template())

    assert "resolve:secretsmanager" not in text
    assert "resolve:ssm-secure" not in text
    for name in FUNCTIONS:
        for variable in environment_of(name):
            assert not re.search("PASSWORD|TOKEN$|TOKENS$|_KEY|SECRET$|CREDENTIAL", variable), variable
    for properties in resources_of("AWS::SecretsManager::Secret").values():
        assert "SecretString" not in properties


def test_a_secret_opens_nothing_as_it_is_created() -> None:
    tokens = resources_of("AWS::SecretsManager::Secret")["WebhookTokensSecret"]["GenerateSecretString"]
    mediasms = resources_of("AWS::SecretsManager::Secret")["MediaSmsSecret"]["GenerateSecretString"]

    assert json.loads(tokens["SecretStringTemplate"]) == {"tokens": []}
    assert tokens["GenerateStringKey"] != "tokens"
    baidu = resources_of("AWS::SecretsManager::Secret")["BaiduVmsSecret"]["GenerateSecretString"]
    assert {*json.loads(mediasms["SecretStringTemplate"]), mediasms["GenerateStringKey"]} == {"user", "password"}
    assert {*json.loads(baidu["SecretStringTemplate"]), baidu["GenerateStringKey"]} == {"ak", "sk"}


def test_only_webhooks_need_no_api_key() -> None:
    keyless = {
        path for (path, _), operation in operations().items() if {"api_key": []} not in operation.get("security", [])
    }

    assert keyless
    assert all(path.startswith("/webhooks/") and "{token}" in path for path in keyless)
    webhooks = {path for path, _ in operations() if path.startswith("/webhooks/")}
    assert keyless == webhooks


def test_every_webhook_accepts_get_and_post() -> None:
    for webhook in {path for path, _ in operations() if path.startswith("/webhooks/")}:
        assert {method for path, method in operations() if path == webhook} == {"get", "post"}


def test_the_usage_plan_of_the_api_keys_throttles() -> None:
    [plan] = resources_of("AWS::ApiGateway::UsagePlan").values()

    assert {"RateLimit", "BurstLimit"} <= set(plan["Throttle"])


def test_access_logs_contain_no_path_no_query_and_no_key() -> None:
    [stage] = resources_of("AWS::ApiGateway::Stage").values()
    variables = set(re.findall(r"\$context\.[A-Za-z.]+", stage["AccessLogSetting"]["Format"]))

    assert variables <= {
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


def test_the_gateways_execution_log_is_off() -> None:
    [stage] = resources_of("AWS::ApiGateway::Stage").values()

    for setting in stage["MethodSettings"]:
        assert setting["DataTraceEnabled"] is False
        assert setting.get("LoggingLevel", "OFF") == "OFF"
    assert not stage.get("TracingEnabled")


def test_every_refusal_of_the_gateway_is_a_problem() -> None:
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


def test_the_gateway_passes_every_body_on_unchanged() -> None:
    [api] = resources_of("AWS::ApiGateway::RestApi").values()

    assert api["Body"]["x-amazon-apigateway-binary-media-types"] == ["*/*"]

"""Access to the API, and what the gateway and the environments reveal."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

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
    for name, properties in resources_of("AWS::SecretsManager::Secret").items():
        if "Tokens" in name:
            tokens = properties["GenerateSecretString"]
            assert json.loads(tokens["SecretStringTemplate"]) == {"tokens": []}
            assert tokens["GenerateStringKey"] != "tokens"
    mediasms = resources_of("AWS::SecretsManager::Secret")["MediaSmsSecret"]["GenerateSecretString"]

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


THROTTLES: Final = {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
CALLBACKS_PER_S: Final = 5 * 80
"""The callbacks of a second in which MediaSMS accepts its full rate: up to five reports a message."""


def test_no_throttle_of_the_stage_stands_before_a_true_callback() -> None:
    [stage] = resources_of("AWS::ApiGateway::Stage").values()
    for setting in stage["MethodSettings"]:
        for throttle in THROTTLES & set(setting):
            assert setting["ResourcePath"] != "/*"
            assert not setting["ResourcePath"].startswith("/webhooks") or setting[throttle] >= CALLBACKS_PER_S


@pytest.mark.parametrize(
    ("path", "method", "longest_s"),
    [
        ("/subscriptions", "post", 5),
        ("/subscriptions/{subscription_id}", "patch", 5),
        ("/subscriptions/{subscription_id}/test", "post", 15),
        ("/subscriptions/{subscription_id}/recover", "post", 15),
    ],
)
def test_requests_that_wait_for_a_callers_address_are_few_at_once(path: str, method: str, longest_s: int) -> None:
    assert (path, method) in operations()
    [stage] = resources_of("AWS::ApiGateway::Stage").values()
    [setting] = [found for found in stage["MethodSettings"] if found["ResourcePath"] == "/" + path.replace("/", "~1")]
    assert setting["HttpMethod"] == method.upper()
    assert setting["ThrottlingRateLimit"] * longest_s + setting["ThrottlingBurstLimit"] <= 50


def test_the_throttles_of_api_keys_do_not_meet_webhooks() -> None:
    [plan] = resources_of("AWS::ApiGateway::UsagePlan").values()

    assert not any("Throttle" in stage for stage in plan["ApiStages"])
    assert {path for (path, _), operation in operations().items() if path.startswith("/webhooks/")} == {
        path for (path, _), operation in operations().items() if {"api_key": []} not in operation.get("security", [])
    }


RESERVATIONS: Final = {
    "WebhookReservedConcurrency": (
        "ReservesForWebhooks",
        {"MediasmsDeliveryWebhook", "MediasmsIvrWebhook", "BiztelCallActionWebhook", "BaiduVmsWebhook"},
    ),
    "SenderReservedConcurrency": ("CapsSenders", {"SendSms", "SendSmsBatch", "StartVerification", "PlaceCall"}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_concurrency_is_reserved_for_webhooks_and_capped_for_senders(name: str) -> None:
    properties = resources_of("AWS::Lambda::Function")[name]
    reservations = [
        {"Fn::If": [condition, {"Ref": parameter}, {"Ref": "AWS::NoValue"}]}
        for parameter, (condition, functions) in RESERVATIONS.items()
        if name in functions
    ]

    assert [properties[key] for key in ["ReservedConcurrentExecutions"] if key in properties] == reservations


@pytest.mark.parametrize("parameter", RESERVATIONS)
def test_nothing_is_reserved_by_default(parameter: str) -> None:
    template = translate_template()

    assert template["Parameters"][parameter]["Default"] == 0
    assert template["Conditions"][RESERVATIONS[parameter][0]] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, 0]}]}


def test_a_web_acl_stands_before_the_stage_if_its_arn_is_given() -> None:
    template = translate_template()
    [association] = [
        resource for resource in template["Resources"].values() if resource["Type"] == "AWS::WAFv2::WebACLAssociation"
    ]
    [stage] = resources_of("AWS::ApiGateway::Stage")

    assert association["Condition"] == "HasWebAcl"
    assert template["Conditions"]["HasWebAcl"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "WebAclArn"}, ""]}]}
    assert template["Parameters"]["WebAclArn"]["Default"] == ""
    assert association["Properties"]["WebACLArn"] == {"Ref": "WebAclArn"}
    assert association["Properties"]["ResourceArn"]["Fn::Sub"].endswith(f"::/restapis/${{Api}}/stages/${{{stage}}}")


@pytest.mark.parametrize(
    ("webhook", "parameter"),
    [
        ("MediasmsDeliveryWebhook", "MediaSmsSourceRanges"),
        ("MediasmsIvrWebhook", "MediaSmsSourceRanges"),
        ("BiztelCallActionWebhook", "BiztelSourceRanges"),
        ("BaiduVmsWebhook", "BaiduVmsSourceRanges"),
    ],
)
def test_a_webhook_knows_the_source_ranges_of_its_provider(webhook: str, parameter: str) -> None:
    definition = translate_template()["Parameters"][parameter]

    assert environment_of(webhook)["WEBHOOK_SOURCE_RANGES"] == {"Fn::Join": [",", {"Ref": parameter}]}
    assert (definition["Type"], definition["Default"]) == ("CommaDelimitedList", "")
    for text in ("", "192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "::ffff:192.0.2.0/120"):
        assert re.fullmatch(definition["AllowedPattern"], text)
    assert not re.fullmatch(definition["AllowedPattern"], "provider.example")


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
        # The id of the API key, not the key.
        "$context.identity.apiKeyId",
        "$context.identity.sourceIp",
        "$context.integration.requestId",
        "$context.requestTime",
        "$context.error.responseType",
    }
    assert json.loads(re.sub(r"\$context[A-Za-z.]+", "x", stage["AccessLogSetting"]["Format"]))


def test_access_logs_tell_who_sent_a_request_and_which_invocation_answered() -> None:
    [stage] = resources_of("AWS::ApiGateway::Stage").values()
    line = json.loads(stage["AccessLogSetting"]["Format"])

    assert line["api_key_id"] == "$context.identity.apiKeyId"
    assert line["source_ip"] == "$context.identity.sourceIp"
    assert line["function_request_id"] == "$context.integration.requestId"


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

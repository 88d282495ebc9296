"""The template is adapted to the emulator's differences from AWS and to nothing else."""

import copy
from pathlib import Path
from typing import Any

from sandbox.template_adaptations import adapt_template

API: dict[str, Any] = {
    "Type": "AWS::ApiGateway::RestApi",
    "Properties": {
        "Body": {
            "x-amazon-apigateway-gateway-responses": {
                "INVALID_API_KEY": {
                    "statusCode": "403",
                    "responseParameters": {"gatewayresponse.header.Content-Type": "'application/problem+json'"},
                    "responseTemplates": {"application/json": '{"code": "invalid_api_key"}'},
                },
                "DEFAULT_5XX": {"responseTemplates": {"application/json": "{}"}},
            }
        }
    },
}


def test_gateway_responses_become_resources_of_the_deployment() -> None:
    deployment = {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}, "DependsOn": "X"}

    resources = adapt_template({"Resources": {"Api": copy.deepcopy(API), "Deployed": deployment}})["Resources"]

    assert resources["ApiInvalidApiKeyResponse"] == {
        "Type": "AWS::ApiGateway::GatewayResponse",
        "Properties": {
            "RestApiId": {"Ref": "Api"},
            "ResponseType": "INVALID_API_KEY",
            "StatusCode": "403",
            "ResponseParameters": {"gatewayresponse.header.Content-Type": "'application/problem+json'"},
            "ResponseTemplates": {"application/json": '{"code": "invalid_api_key"}'},
        },
    }
    assert "StatusCode" not in resources["ApiDefault5XxResponse"]["Properties"]
    assert resources["Deployed"]["DependsOn"] == ["X", "ApiInvalidApiKeyResponse", "ApiDefault5XxResponse"]


def test_media_types_are_spelt_with_a_slash() -> None:
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"BinaryMediaTypes": ["*~1*", "audio~1mpeg"]}}

    adapted = adapt_template({"Resources": {"Api": api}})

    assert adapted["Resources"]["Api"]["Properties"]["BinaryMediaTypes"] == ["*/*", "audio/mpeg"]


def test_a_tls_only_policy_admits_loopback_and_is_otherwise_unchanged() -> None:
    tls_only = {"Effect": "Deny", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    allow = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}}
    policy = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"PolicyDocument": {"Statement": [copy.deepcopy(tls_only), copy.deepcopy(allow)]}},
    }

    statements = adapt_template({"Resources": {"Policy": policy}})["Resources"]["Policy"]["Properties"][
        "PolicyDocument"
    ]

    expected = {**tls_only["Condition"], "NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}  # type: ignore[dict-item]
    assert statements["Statement"] == [{**tls_only, "Condition": expected}, allow]


def test_a_reference_to_a_secret_becomes_its_arn() -> None:
    template = {
        "Resources": {
            "Secret": {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {"Name": {"Fn::Sub": "${AWS::StackName}/x"}},
            },
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"Resource": [{"Ref": "Secret"}, {"Ref": "Table"}]}},
        },
        "Outputs": {"Secret": {"Value": {"Fn::Sub": "${Secret} of ${Table}"}}},
    }

    adapted = adapt_template(template)

    assert adapted["Resources"]["Role"]["Properties"]["Resource"] == [
        {"Fn::GetAtt": ["Secret", "Id"]},
        {"Ref": "Table"},
    ]
    assert adapted["Resources"]["Secret"]["Properties"]["Name"] == {"Fn::Sub": "${AWS::StackName}/x"}
    assert adapted["Outputs"]["Secret"]["Value"] == {"Fn::Sub": "${Secret.Id} of ${Table}"}


def test_a_template_without_differences_is_unchanged() -> None:
    template = {"Resources": {"Table": {"Type": "AWS::DynamoDB::Table"}}}

    assert adapt_template(copy.deepcopy(template)) == template


def test_only_an_alarm_on_an_expression_is_dropped() -> None:
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "Errors"}}
    on_expression = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Id": "silent"}]}}

    adapted = adapt_template({"Resources": {"One": alarm, "Other": on_expression}})

    assert adapted == {"Resources": {"One": alarm}}


def test_conditions_on_the_keys_of_items_are_dropped_and_no_others() -> None:
    keys = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["SMS#*"]}, "Null": {"dynamodb:LeadingKeys": "false"}}
    other = {"StringEquals": {"aws:SourceAccount": "000000000000"}}
    statements = [{"Sid": "A", "Condition": keys}, {"Sid": "B", "Condition": other}, {"Sid": "C"}]
    role = {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": {"Statement": statements}}]}}

    adapted = adapt_template({"Resources": {"Role": role}})["Resources"]["Role"]["Properties"]["Policies"][0]

    assert adapted["PolicyDocument"]["Statement"] == [{"Sid": "A"}, {"Sid": "B", "Condition": other}, {"Sid": "C"}]


def test_the_right_to_send_a_message_is_the_right_to_send_several() -> None:
    def role(*actions: str) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        return {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": {"Statement": statement}}]}}

    template = {"Resources": {"Sender": role("sqs:SendMessage"), "Receiver": role("sqs:ReceiveMessage")}}

    assert adapt_template(template)["Resources"] == {
        "Sender": role("sqs:SendMessage", "sqs:SendMessageBatch"),
        "Receiver": role("sqs:ReceiveMessage"),
    }


def test_functions_with_a_layer_import_from_its_folders() -> None:
    reference = {"Ref": "Shared"}
    with_layer = {"Type": "AWS::Lambda::Function", "Properties": {"Layers": [reference]}}
    without = {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "app.handler"}}
    layer = {"Type": "AWS::Lambda::LayerVersion", "Properties": {}}
    resources = {"Shared": layer, "One": with_layer, "Other": without}

    adapted = adapt_template({"Resources": resources}, layers=[Path("/one"), Path("/two")])["Resources"]

    assert adapted.keys() == {"One", "Other"}
    assert adapted["One"]["Properties"] == {"Environment": {"Variables": {"PYTHONPATH": "/one:/two"}}}
    assert "PYTHONPATH" not in adapted["Other"]["Properties"]["Environment"]["Variables"]

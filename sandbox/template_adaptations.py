"""Adapts the translated template to the emulator's differences from AWS; the template itself does not mention them."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

Template = dict[str, Any]

_TLS_ONLY: Final = "aws:SecureTransport"
_GET_JOB: Final = "transcribe:GetTranscriptionJob"
_UNKNOWN_KEYS: Final = ("dynamodb:LeadingKeys", "transcribe:OutputBucketName")


def adapt_template(
    template: Template, *, endpoints: Mapping[str, str] = MappingProxyType({}), layers: Sequence[Path] = ()
) -> Template:
    """Return `template` (translated, decoded JSON) adapted to the emulator; the original is used up.

    Functions reach the services that `endpoints` names (`TRANSCRIBE`) there instead of at the emulator, and import from
    the folders `layers` instead of from their layers.
    """
    _extract_gateway_responses(template["Resources"])
    _exempt_loopback_from_tls(template["Resources"])
    _drop_unknown_keys(template["Resources"])
    _allow_message_batches(template["Resources"])
    _widen_jobs(template["Resources"])
    _set_endpoints(template["Resources"], endpoints)
    _share_layers(template["Resources"], layers)
    _unescape_media_types(template["Resources"])
    _drop_metric_math(template["Resources"])
    secrets = {
        name for name, resource in template["Resources"].items() if resource["Type"] == "AWS::SecretsManager::Secret"
    }
    adapted: Template = _replace_secret_refs(template, secrets)
    return adapted


def _extract_gateway_responses(resources: Template) -> None:
    # The emulator ignores x-amazon-apigateway-gateway-responses in an API's body and supports the resource type. A
    # deployment freezes the responses, so it depends on them.
    for api_name, api in list(resources.items()):
        if api["Type"] != "AWS::ApiGateway::RestApi":
            continue
        responses = api["Properties"].get("Body", {}).get("x-amazon-apigateway-gateway-responses", {})
        names = []
        for response_type, response in responses.items():
            name = f"{api_name}{response_type.title().replace('_', '')}Response"
            properties = {
                "RestApiId": {"Ref": api_name},
                "ResponseType": response_type,
                "StatusCode": response.get("statusCode"),
                "ResponseParameters": response.get("responseParameters"),
                "ResponseTemplates": response.get("responseTemplates"),
            }
            resources[name] = {
                "Type": "AWS::ApiGateway::GatewayResponse",
                "Properties": {key: value for key, value in properties.items() if value is not None},
            }
            names.append(name)
        for resource in resources.values():
            if resource["Type"] == "AWS::ApiGateway::Deployment" and resource["Properties"]["RestApiId"] == {
                "Ref": api_name
            }:
                resource["DependsOn"] = [*_to_list(resource.get("DependsOn", [])), *names]


def _exempt_loopback_from_tls(resources: Template) -> None:
    # The emulator speaks plain HTTP and checks resource policies, so "TLS only" would refuse every request.
    for resource in resources.values():
        document = resource.get("Properties", {}).get("PolicyDocument", {})
        for statement in _to_list(document.get("Statement", [])):
            if statement.get("Effect") == "Deny" and _TLS_ONLY in statement.get("Condition", {}).get("Bool", {}):
                statement["Condition"]["NotIpAddress"] = {"aws:SourceIp": "127.0.0.0/8"}


def _drop_unknown_keys(resources: Template) -> None:
    # The emulator does not give these members of a request to conditions, so a statement with them would allow nothing.
    for resource in resources.values():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", []):
            for statement in _to_list(policy["PolicyDocument"]["Statement"]):
                if any(key in str(statement.get("Condition")) for key in _UNKNOWN_KEYS):
                    del statement["Condition"]


def _widen_jobs(resources: Template) -> None:
    # The emulator takes every request to Transcribe for one to all jobs.
    for resource in resources.values():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", []):
            for statement in _to_list(policy["PolicyDocument"]["Statement"]):
                if _GET_JOB in _to_list(statement.get("Action", [])):
                    statement["Resource"] = "*"


def _set_endpoints(resources: Template, endpoints: Mapping[str, str]) -> None:
    # botocore reads AWS_ENDPOINT_URL_{SERVICE} before the address of all other services.
    for resource in resources.values():
        if resource["Type"] == "AWS::Lambda::Function":
            variables = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            variables |= {f"AWS_ENDPOINT_URL_{service}": url for service, url in endpoints.items()}


def _share_layers(resources: Template, folders: Sequence[Path]) -> None:
    # The emulator would unpack a layer, file by file, for each container.
    for name, resource in list(resources.items()):
        if resource["Type"] == "AWS::Lambda::LayerVersion":
            del resources[name]
        if resource["Type"] == "AWS::Lambda::Function" and resource["Properties"].pop("Layers", None):
            variables = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            variables["PYTHONPATH"] = os.pathsep.join(map(str, folders))


def _allow_message_batches(resources: Template) -> None:
    # On AWS the right to send a message is the right to send several at once. The emulator wants a right of its own.
    for resource in resources.values():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", []):
            for statement in _to_list(policy["PolicyDocument"]["Statement"]):
                actions = _to_list(statement.get("Action", []))
                if "sqs:SendMessage" in actions:
                    statement["Action"] = [*actions, "sqs:SendMessageBatch"]


def _unescape_media_types(resources: Template) -> None:
    # CloudFormation's property spells "/" as "~1"; the emulator takes the value literally.
    for resource in resources.values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::ApiGateway::RestApi" and "BinaryMediaTypes" in properties:
            properties["BinaryMediaTypes"] = [
                media_type.replace("~1", "/") for media_type in properties["BinaryMediaTypes"]
            ]


def _drop_metric_math(resources: Template) -> None:
    # The emulator refuses an alarm on an expression. tests/template/ checks these alarms.
    for name, resource in list(resources.items()):
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource.get("Properties", {}):
            del resources[name]


def _replace_secret_refs(node: Any, secrets: set[str]) -> Any:
    # A secret's Ref is its ARN on AWS and its name in the emulator, and no policy statement would match the name.
    match node:
        case {"Ref": str(name), **rest} if not rest and name in secrets:
            return {"Fn::GetAtt": [name, "Id"]}
        case {"Fn::Sub": str(text), **rest} if not rest:
            return {"Fn::Sub": re.sub(r"\$\{(\w+)\}", lambda m: f"${{{m[1]}.Id}}" if m[1] in secrets else m[0], text)}
        case dict():
            return {key: _replace_secret_refs(value, secrets) for key, value in node.items()}
        case list():
            return [_replace_secret_refs(value, secrets) for value in node]
    return node


def _to_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

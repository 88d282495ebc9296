"""Deploys the template to the emulator: zips uploaded, SAM translated, one stack created."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from sandbox import aws_clients
from sandbox.artifacts import build_function, build_layer
from sandbox.errors import SandboxError
from sandbox.template_adaptations import adapt_template

STACK_NAME: Final = "switchboard"
_ARTIFACTS_BUCKET: Final = "sandbox-artifacts"
_POLL_S: Final = 0.1
_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What a created stack's callers need to know."""

    api_id: str
    api_key: str = field(repr=False)


def deploy(
    template: Path,
    *,
    url: str,
    parameters: Mapping[str, str],
    python: Path,
    cache: Path,
    artifacts: Path,
    update: Callable[[str], None],
) -> Deployed:
    """Build and upload what `template` names, create its stack in the emulator at `url`, and wait until it stands.

    `python` is the interpreter handlers run on; `update` is told how far it is. Raises SandboxError with the reasons
    when the template can't be built, translated or created.
    """
    source = _source(template)
    bucket = _Bucket(url)
    if unknown := parameters.keys() - source.get("Parameters", {}).keys():
        # CloudFormation refuses them; the emulator would take them silently.
        raise SandboxError(f"The template has no parameter {', '.join(sorted(unknown))}.")
    for name, resource in source["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            update(f"building {name}")
            folder = template.parent / properties["ContentUri"]
            layer = build_layer(folder, python=python, cache=cache, artifacts=artifacts)
            properties["ContentUri"] = bucket.put(layer.name, layer.read_bytes())
        elif resource["Type"] == "AWS::Serverless::Function":
            function = build_function(template.parent / properties["CodeUri"], artifacts=artifacts)
            properties["CodeUri"] = bucket.put(function.name, function.read_bytes())
    update("translating")
    body = adapt_template(_translated(source, parameters))
    # A body in the call itself may have 51,200 bytes at most.
    place = bucket.put("template.json", json.dumps(body).encode())
    template_url = f"{url}/{place['Bucket']}/{place['Key']}"
    _create(aws_clients.client("cloudformation", url), template_url, parameters=parameters, update=update)
    return _deployed(url)


def _source(template: Path) -> dict[str, Any]:
    if not template.exists():
        raise SandboxError(f"{template} is missing.")
    source: dict[str, Any] = yaml_parse(template.read_text(encoding="utf-8"))
    return source


class _Bucket:
    """Where the emulator fetches what is deployed to it."""

    def __init__(self, url: str) -> None:
        self._s3 = aws_clients.client("s3", url)
        location = {"LocationConstraint": self._s3.meta.region_name}
        self._s3.create_bucket(Bucket=_ARTIFACTS_BUCKET, CreateBucketConfiguration=location)

    def put(self, name: str, content: bytes) -> dict[str, str]:
        self._s3.put_object(Bucket=_ARTIFACTS_BUCKET, Key=name, Body=content)
        return {"Bucket": _ARTIFACTS_BUCKET, "Key": name}


def _translated(source: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    # It warns of each feature that only AWS itself can switch on.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    translator = Translator({}, Parser(), boto_session=aws_clients.account())
    try:
        translated: dict[str, Any] = translator.translate(source, parameter_values=dict(parameters))
    except InvalidDocumentException as problem:
        reasons = [cause.message for cause in problem.causes]
        raise SandboxError("\n".join(["The template can't be translated.", *reasons])) from problem
    return translated


def _create(
    cloudformation: Any, template_url: str, *, parameters: Mapping[str, str], update: Callable[[str], None]
) -> None:
    try:
        cloudformation.create_stack(
            StackName=STACK_NAME,
            TemplateURL=template_url,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
    except ClientError as problem:
        raise SandboxError(f"The template is refused: {problem}") from problem
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        stack = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        update(f"{sum(event['ResourceStatus'] == 'CREATE_COMPLETE' for event in events)} resources")
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            reasons = [
                f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
                for event in events
                if event["ResourceStatus"].endswith("_FAILED")
            ]
            raise SandboxError("\n".join(["The stack can't be created.", *reasons]))
        time.sleep(_POLL_S)
    raise SandboxError(f"The stack does not stand after {_TIMEOUT_S:.0f} seconds.")


def _deployed(url: str) -> Deployed:
    resources = aws_clients.client("cloudformation", url).describe_stack_resources(StackName=STACK_NAME)[
        "StackResources"
    ]
    ids: dict[str, list[str]] = {}
    for resource in resources:
        ids.setdefault(resource["ResourceType"], []).append(resource["PhysicalResourceId"])
    try:
        [api_id] = ids["AWS::ApiGateway::RestApi"]
        [key_id] = ids["AWS::ApiGateway::ApiKey"]
    except (KeyError, ValueError) as problem:
        raise SandboxError("The template should have one REST API with one API key.") from problem
    key = aws_clients.client("apigateway", url).get_api_key(apiKey=key_id, includeValue=True)
    return Deployed(api_id=api_id, api_key=key["value"])

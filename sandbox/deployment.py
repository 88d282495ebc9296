"""Deploys the template to the emulator: builds layer and zips, translates SAM, creates one stack."""

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

from sandbox.artifacts import build_function, build_layer
from sandbox.aws_clients import create_client, create_session
from sandbox.errors import SandboxError
from sandbox.language_extensions import expand_template
from sandbox.template_adaptations import adapt_template

STACK_NAME: Final = "switchboard"
_ARTIFACTS_BUCKET: Final = "sandbox-artifacts"
_POLL_S: Final = 0.1
_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOutputs:
    """The values of a created stack that callers of the API need."""

    api_id: str
    api_key: str = field(repr=False)
    usage_plan: str
    limits_table: str


def deploy(
    template: Path,
    *,
    url: str,
    parameters: Mapping[str, str],
    python: Path,
    cache: Path,
    artifacts: Path,
    endpoints: Mapping[str, str],
    update: Callable[[str], None],
) -> StackOutputs:
    """Build and upload the template's code, create the stack in the emulator, and wait until it is complete.

    Args:
        template: the SAM template.
        url: the emulator's address.
        parameters: the template's parameters.
        python: the interpreter on which the handlers run.
        cache: the folder with the layer's installed requirements.
        artifacts: the folder for the layer's package and the functions' zips.
        endpoints: the addresses of the AWS services that the emulator does not play, by their names in capitals.
        update: shows the progress.

    Raises:
        SandboxError: when the template can't be built, translated or created. Its text gives the reasons.
    """
    source = _read_template(template)
    bucket = _Bucket(url)
    if unknown := parameters.keys() - source.get("Parameters", {}).keys():
        # CloudFormation refuses unknown parameters; the emulator would ignore them.
        raise SandboxError(
            f"The template has no parameter {', '.join(sorted(unknown))}. Correct `_PARAMETERS` in sandbox/stack.py."
        )
    layers: list[Path] = []
    for name, resource in source["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            update(f"building {name}")
            folder = template.parent / properties["ContentUri"]
            layers += build_layer(folder, python=python, cache=cache, artifacts=artifacts)
            # Never uploaded: `adapt_template` lets the functions read the folders.
            properties["ContentUri"] = {"Bucket": _ARTIFACTS_BUCKET, "Key": name}
        elif resource["Type"] == "AWS::Serverless::Function":
            function = build_function(template.parent / properties["CodeUri"], artifacts=artifacts)
            properties["CodeUri"] = bucket.put(function.name, function.read_bytes())
    update("translating the template")
    body = adapt_template(_translate(source, parameters), endpoints=endpoints, layers=layers)
    # A template in the request itself can have 51,200 bytes at most.
    location = bucket.put("template.json", json.dumps(body).encode())
    template_url = f"{url}/{location['Bucket']}/{location['Key']}"
    _create_stack(create_client("cloudformation", url), template_url, parameters=parameters, update=update)
    return _read_outputs(url)


def _read_template(template: Path) -> dict[str, Any]:
    if not template.exists():
        raise SandboxError(f"{template} is missing. Restore it, for example with: git restore {template.name}")
    return expand_template(yaml_parse(template.read_text(encoding="utf-8")))


class _Bucket:
    """The bucket from which the emulator fetches code and template."""

    def __init__(self, url: str) -> None:
        self._s3 = create_client("s3", url)
        location = {"LocationConstraint": self._s3.meta.region_name}
        self._s3.create_bucket(Bucket=_ARTIFACTS_BUCKET, CreateBucketConfiguration=location)

    def put(self, name: str, content: bytes) -> dict[str, str]:
        self._s3.put_object(Bucket=_ARTIFACTS_BUCKET, Key=name, Body=content)
        return {"Bucket": _ARTIFACTS_BUCKET, "Key": name}


def _translate(source: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    # The translator warns of each feature that only AWS itself can switch on.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    translator = Translator({}, Parser(), boto_session=create_session())
    try:
        translated: dict[str, Any] = translator.translate(source, parameter_values=dict(parameters))
    except InvalidDocumentException as problem:
        reasons = [cause.message for cause in problem.causes]
        raise SandboxError("\n".join(["The template can't be translated. Correct it:", *reasons])) from problem
    return translated


def _create_stack(
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
        raise SandboxError(f"The emulator refuses the template. Correct it: {problem}") from problem
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
            raise SandboxError("\n".join(["The stack can't be created. Correct these resources:", *reasons]))
        time.sleep(_POLL_S)
    raise SandboxError(f"The stack was not complete after {_TIMEOUT_S:.0f} seconds. Run it again.")


def _read_outputs(url: str) -> StackOutputs:
    stack = create_client("cloudformation", url).describe_stack_resources(StackName=STACK_NAME)
    ids: dict[str, list[str]] = {}
    for resource in stack["StackResources"]:
        ids.setdefault(resource["ResourceType"], []).append(resource["PhysicalResourceId"])
    try:
        [api_id] = ids["AWS::ApiGateway::RestApi"]
        [key_id] = ids["AWS::ApiGateway::ApiKey"]
        [usage_plan] = ids["AWS::ApiGateway::UsagePlan"]
    except (KeyError, ValueError) as problem:
        raise SandboxError(
            "The template must have exactly one REST API, one API key and one usage plan. Correct it."
        ) from problem
    names = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in stack["StackResources"]}
    key = create_client("apigateway", url).get_api_key(apiKey=key_id, includeValue=True)
    return StackOutputs(api_id=api_id, api_key=key["value"], usage_plan=usage_plan, limits_table=names["LimitsTable"])

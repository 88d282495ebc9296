"""The template as CloudFormation gets it: translated by SAM's own translator, and what tests ask of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT: Final = Path(__file__).parent.parent
REGION: Final = "ap-northeast-1"
STACK_NAME: Final = "switchboard"

Properties = Mapping[str, Any]


@cache
def source() -> dict[str, Any]:
    """`template.yaml` as it was written."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    return parsed


@cache
def translated() -> dict[str, Any]:
    """`template.yaml` with SAM's transform done. Code counts as uploaded already."""
    template = copy.deepcopy(source())
    for resource in template["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = {"Bucket": "artifacts", "Key": "code.zip"}
    session = boto3.Session(region_name=REGION)
    parameters = {name: each["Default"] for name, each in template["Parameters"].items() if "Default" in each}
    done: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(
        template, parameter_values=parameters
    )
    return done


def resources_of(kind: str) -> dict[str, Properties]:
    """The properties of every resource of one type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in translated()["Resources"].items()
        if resource["Type"] == kind
    }


def function_folders() -> dict[str, str]:
    """`functions/<folder>` of every function, by logical id."""
    return {
        name: Path(resource["Properties"]["CodeUri"]).name
        for name, resource in source()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def environment_of(logical_id: str) -> Mapping[str, Any]:
    """A function's environment, its references unresolved."""
    variables: Mapping[str, Any] = resources_of("AWS::Lambda::Function")[logical_id]["Environment"]["Variables"]
    return variables


def resolved(values: Mapping[str, Any], *, references: Mapping[str, str]) -> dict[str, str]:
    """The values with their references replaced, by `references`, pseudo parameters or the parameters' defaults."""
    defaults = {name: str(each["Default"]) for name, each in translated()["Parameters"].items() if "Default" in each}
    known = {**defaults, "AWS::StackName": STACK_NAME, **references}
    return {name: _resolved(each, known) for name, each in values.items()}


def _resolved(value: Any, known: Mapping[str, str]) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    if "Ref" in value:
        return known[value["Ref"]]
    if "Fn::Join" in value:
        # Of a list that is a parameter, which is given here as the text that CloudFormation takes apart.
        separator, parameter = value["Fn::Join"]
        return str(separator).join(known[parameter["Ref"]].split(","))
    return re.sub(r"\$\{([^}]+)\}", lambda match: known[match[1]], value["Fn::Sub"])


def references_in(value: Any) -> Iterator[str]:
    """The logical ids and parameters that a value mentions, by Ref, Fn::GetAtt, Fn::Sub or Condition."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "Ref":
                yield inner
            elif name == "Fn::GetAtt":
                yield inner[0] if isinstance(inner, list) else inner.partition(".")[0]
            elif name == "Fn::Sub":
                text, given = inner if isinstance(inner, list) else (inner, {})
                names = (match.partition(".")[0] for match in re.findall(r"\$\{([^!}][^}]*)\}", text))
                yield from (each for each in names if each not in given)
                yield from references_in(given)
            else:
                yield from references_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references_in(inner)


def function(name: str) -> Properties:
    """A function's properties."""
    return resources_of("AWS::Lambda::Function")[name]


def as_list(value: Any) -> list[Any]:
    """A list, also where the template allows one thing to stand alone."""
    return value if isinstance(value, list) else [value]


def statements() -> Iterator[tuple[str, Properties]]:
    """Every statement of every role, with the role's name."""
    for role, properties in resources_of("AWS::IAM::Role").items():
        for policy in properties.get("Policies", []):
            for statement in as_list(policy["PolicyDocument"]["Statement"]):
                yield role, statement


def statements_of(name: str) -> list[Properties]:
    """Every statement of a function's role."""
    role = function(name)["Role"]["Fn::GetAtt"][0]
    return [statement for owner, statement in statements() if owner == role]


def operations() -> dict[tuple[str, str], Properties]:
    """Every route of the API by path and method."""
    [api] = resources_of("AWS::ApiGateway::RestApi").values()
    return {(path, method): each for path, methods in api["Body"]["paths"].items() for method, each in methods.items()}

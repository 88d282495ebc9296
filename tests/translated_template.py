"""The template as it is written, with its loops expanded, and as SAM's own translator translates it."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from sandbox.language_extensions import expand_template

ROOT: Final = Path(__file__).parent.parent
REGION: Final = "ap-northeast-1"
STACK_NAME: Final = "switchboard"

Properties = Mapping[str, Any]

_NO_VALUE: Final = {"Ref": "AWS::NoValue"}


@cache
def source() -> dict[str, Any]:
    """Return `template.yaml` with its loops expanded, before SAM's transform."""
    return expand_template(written_template())


@cache
def written_template() -> dict[str, Any]:
    """Return `template.yaml` as it is written, with its YAML anchors resolved."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    return template


@cache
def translate_template() -> dict[str, Any]:
    """Return `template.yaml` after SAM's transform, as if its code had been uploaded."""
    template = copy.deepcopy(source())
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = {"Bucket": "artifacts", "Key": "code.zip"}
    session = boto3.Session(region_name=REGION)
    defaults = {
        name: parameter["Default"] for name, parameter in template["Parameters"].items() if "Default" in parameter
    }
    translation: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(
        template, parameter_values=defaults
    )
    return translation


def resources_of(kind: str) -> dict[str, Properties]:
    """Return the properties of every resource of one type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in translate_template()["Resources"].items()
        if resource["Type"] == kind
    }


def choose_branches(value: Any, conditions: Collection[str]) -> Any:
    """Return `value` with each Fn::If replaced by its branch, as if only `conditions` were true.

    Members and elements that become AWS::NoValue are left out, as CloudFormation does.
    """
    match value:
        case {"Fn::If": [str(name), yes, no]}:
            return choose_branches(yes if name in conditions else no, conditions)
        case dict():
            chosen = {name: choose_branches(inner, conditions) for name, inner in value.items()}
            return {name: inner for name, inner in chosen.items() if inner != _NO_VALUE}
        case list():
            return [
                inner for inner in (choose_branches(element, conditions) for element in value) if inner != _NO_VALUE
            ]
    return value


def function_folders() -> dict[str, str]:
    """Return the name of the folder below `functions/` of every function, by logical id."""
    return {
        name: Path(resource["Properties"]["CodeUri"]).name
        for name, resource in source()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def environment_of(logical_id: str) -> Mapping[str, Any]:
    """Return a function's environment with its references unresolved."""
    variables: Mapping[str, Any] = resources_of("AWS::Lambda::Function")[logical_id]["Environment"]["Variables"]
    return variables


def resolve_references(values: Mapping[str, Any], *, references: Mapping[str, str]) -> dict[str, str]:
    """Replace the references in some values by `references`, pseudo parameters and the parameters' defaults."""
    parameters = translate_template()["Parameters"].items()
    defaults = {name: str(parameter["Default"]) for name, parameter in parameters if "Default" in parameter}
    pseudo = {"AWS::StackName": STACK_NAME, "AWS::Region": REGION, "AWS::URLSuffix": "amazonaws.com"}
    replacements = {**defaults, **pseudo, **references}
    return {name: _resolve(value, replacements) for name, value in values.items()}


def _resolve(value: Any, replacements: Mapping[str, str]) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    if "Ref" in value:
        return replacements[value["Ref"]]
    if "Fn::FindInMap" in value:
        mapping, row, column = value["Fn::FindInMap"]
        return str(source()["Mappings"][mapping][_resolve(row, replacements)][column])
    if "Fn::Join" in value:
        # The list is a parameter of the type CommaDelimitedList. Its replacement is the text with the commas.
        separator, parameter = value["Fn::Join"]
        return str(separator).join(replacements[parameter["Ref"]].split(","))
    return re.sub(r"\$\{([^}]+)\}", lambda match: replacements[match[1]], value["Fn::Sub"])


def references_in(value: Any) -> Iterator[str]:
    """Yield the logical ids and parameters that a value mentions in Ref, Fn::GetAtt or Fn::Sub."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "Ref":
                yield inner
            elif name == "Fn::GetAtt":
                yield inner[0] if isinstance(inner, list) else inner.partition(".")[0]
            elif name == "Fn::Sub":
                text, variables = inner if isinstance(inner, list) else (inner, {})
                names = (match.partition(".")[0] for match in re.findall(r"\$\{([^!}][^}]*)\}", text))
                yield from (reference for reference in names if reference not in variables)
                yield from references_in(variables)
            else:
                yield from references_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references_in(inner)


def function(name: str) -> Properties:
    """Return a function's properties."""
    return resources_of("AWS::Lambda::Function")[name]


def ensure_list(value: Any) -> list[Any]:
    """Return a list, also if the template has a single value without one."""
    return value if isinstance(value, list) else [value]


def statements(conditions: Collection[str] = ()) -> Iterator[tuple[str, Properties]]:
    """Yield every statement that a role has if `conditions` are true, with the role's name."""
    for role, properties in resources_of("AWS::IAM::Role").items():
        for policy in choose_branches(properties.get("Policies", []), conditions):
            for statement in ensure_list(policy["PolicyDocument"]["Statement"]):
                yield role, statement


def statements_of(name: str, conditions: Collection[str] = ()) -> list[Properties]:
    """Return the statements of a function's role, but for the one that every function has for its logs."""
    function_role = role_of(name)
    return [
        statement
        for role, statement in statements(conditions)
        if role == function_role and statement.get("Sid") != "WriteLogs"
    ]


def role_of(name: str) -> str:
    """Return the logical id of a function's role."""
    return str(function(name)["Role"]["Fn::GetAtt"][0])


def operations() -> dict[tuple[str, str], Properties]:
    """Return every route of the API, by path and method."""
    [api] = resources_of("AWS::ApiGateway::RestApi").values()
    return {
        (path, method): operation
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
    }

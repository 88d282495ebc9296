"""SnapStart, the alias and gradual deployments are off, and their lines in the template are right once they are on."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from sandbox.language_extensions import expand_template
from tests.translated_template import REGION, ROOT, function_folders, resources_of

_SWITCHES: Final = ("AutoPublishAlias", "AutoPublishAliasAllProperties", "Tags", "SnapStart", "DeploymentPreference")


@cache
def switched_on(release: str = "1") -> Mapping[str, Any]:
    """Return the translated resources of the template with the commented lines of its Globals."""
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    for name in _SWITCHES:
        text, count = re.subn(rf"^    # ({name}: )", r"    \1", text, flags=re.MULTILINE)
        assert count == 1, name
    template = copy.deepcopy(expand_template(yaml_parse(text.replace('release: "1"', f'release: "{release}"'))))
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = {"Bucket": "artifacts", "Key": "code.zip"}
    defaults = {name: parameter["Default"] for name, parameter in template["Parameters"].items()}
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    resources: Mapping[str, Any] = translator.translate(template, parameter_values=defaults)["Resources"]
    return resources


def names_of(kind: str, resources: Mapping[str, Any]) -> set[str]:
    return {name for name, resource in resources.items() if resource["Type"] == kind}


def test_no_version_is_published_by_default() -> None:
    assert not resources_of("AWS::Lambda::Alias")
    assert not resources_of("AWS::Lambda::Version")
    assert not resources_of("AWS::CodeDeploy::DeploymentGroup")
    assert not any("SnapStart" in properties for properties in resources_of("AWS::Lambda::Function").values())


def test_every_function_is_published_with_a_snapshot_behind_its_alias() -> None:
    resources = switched_on()

    assert names_of("AWS::Lambda::Alias", resources) == {f"{name}Aliaslive" for name in function_folders()}
    assert names_of("AWS::CodeDeploy::DeploymentGroup", resources) == {
        f"{name}DeploymentGroup" for name in function_folders()
    }
    for name in function_folders():
        assert resources[name]["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}


def test_every_trigger_invokes_the_alias_and_not_the_function() -> None:
    resources = switched_on()
    triggers = [
        resources[name]
        for kind in ("AWS::Lambda::EventSourceMapping", "AWS::Scheduler::Schedule", "AWS::ApiGateway::RestApi")
        for name in names_of(kind, resources)
    ]

    invoked = re.findall(r"\b(\w+Aliaslive)\b", str(triggers))

    assert set(invoked) == {f"{name}Aliaslive" for name in function_folders()}
    assert not re.findall(r"'Ref': '(?:SendQueuedSms|FetchRecording)'|functions/\$\{\w+\.Arn\}/", str(triggers))


def test_another_release_publishes_another_version() -> None:
    first, second = (names_of("AWS::Lambda::Version", switched_on(release)) for release in ("1", "2"))

    assert len(first) == len(second) == len(function_folders())
    assert not first & second

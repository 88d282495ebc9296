"""SnapStart, the alias and gradual deployments are off, and right once `make deploy SNAPSTART=on` switches them on."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from sandbox.language_extensions import expand_template
from tests.translated_template import REGION, ROOT, function_folders, resources_of
from tools.publish_versions import main, publish_versions


@cache
def switched_on(release: str = "1") -> Mapping[str, Any]:
    """Return the translated resources of the template with published versions."""
    text = publish_versions((ROOT / "template.yaml").read_text(encoding="utf-8"), release=release)
    template = copy.deepcopy(expand_template(yaml_parse(text)))
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


def test_each_build_is_another_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = tmp_path / "template.yaml"
    built.write_text("Resources: {}\nGlobals:\n  Function:\n    Runtime: python3.13\n")

    main(built)

    [release] = re.findall(r'Tags: { release: "(\w+)" }', built.read_text())
    assert release in capsys.readouterr().out
    assert yaml_parse(built.read_text())["Globals"]["Function"]["Runtime"] == "python3.13"


def test_a_template_without_globals_of_functions_is_refused() -> None:
    with pytest.raises(ValueError, match="no Globals of functions"):
        publish_versions("Resources: {}", release="1")

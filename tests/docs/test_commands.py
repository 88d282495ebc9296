"""The commands of the pages that need an AWS account are well formed, and AWS knows each command and option."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import Final

import botocore.session
import pytest
from botocore import xform_name

from tests.docs.pages import find_pages, read_page

BLOCK: Final = re.compile(r"^( *)```(?:bash|sh)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
COMMAND: Final = re.compile(r"\baws ([a-z0-9]+) ([a-z0-9-]+)([^\n|;&)]*)")
OF_THE_CLI: Final = {"s3", "logs tail", "ec2 wait"}
"""Commands that AWS CLI makes of several requests. No model describes them."""
GLOBAL_OPTIONS: Final = {"query", "output", "cli-binary-format", "region", "endpoint-url"}
BLOCKS: Final = [
    (page, block) for page in find_pages() if page != "CHANGELOG.md" for _, block in BLOCK.findall(read_page(page))
]


@pytest.mark.parametrize("page", sorted({page for page, _ in BLOCKS}))
def test_the_shell_can_parse_every_block(page: str) -> None:
    script = "\n".join(block for name, block in BLOCKS if name == page)

    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False).stderr == ""


def test_aws_has_every_command_and_option_of_the_pages() -> None:
    commands = [(page, *command) for page, block in BLOCKS for command in COMMAND.findall(re.sub(r"\\\n", " ", block))]
    unknown = [
        f"{page}: aws {service} {operation} {option}"
        for page, service, operation, rest in commands
        if not {service, f"{service} {operation}"} & OF_THE_CLI
        for option in re.findall(r"(?<!\S)--([a-z0-9-]+)", rest) or [""]
        if option not in options_of(service, operation)
    ]

    assert commands
    assert unknown == []


@cache
def options_of(service: str, operation: str) -> frozenset[str]:
    """Return the options of a command of AWS CLI, and an empty one; no option if AWS has no such command."""
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        return frozenset()
    shape = model.operation_model(names[operation]).input_shape
    members = {xform_name(name, "-") for name in (shape.members if shape else {})}
    return frozenset({"", *GLOBAL_OPTIONS, *members, *(f"no-{name}" for name in members)})

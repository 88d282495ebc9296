"""Reads the functions' logs from the emulator's CloudWatch Logs."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sandbox.aws_clients import create_client
from sandbox.endpoints import Endpoints
from sandbox.errors import SandboxError

# CloudFormation's name of a function: the stack's name, the function's name in the template, and a random end.
_PHYSICAL_NAME: Final = re.compile(r"switchboard-(?P<name>.+?)(-[0-9A-F]{8,})?")
# The lines that Lambda itself writes around every call.
_PLATFORM_LINE: Final = re.compile(r"(START|END|REPORT) RequestId: ")


def read_logs(endpoints: Endpoints, function: str = "") -> str:
    """Return the log lines of the functions whose name contains `function`, oldest first.

    A line is `function's name: message`. Case and underscores in `function` are ignored, so the name of a folder works
    too. The lines of a call appear when the call has ended.

    Raises:
        SandboxError: when no function has such a name.
    """
    logs = create_client("logs", endpoints.aws_endpoint_url)
    pages = create_client("lambda", endpoints.aws_endpoint_url).get_paginator("list_functions").paginate()
    groups = {
        _logical_name(configuration["FunctionName"]): _log_group(configuration)
        for page in pages
        for configuration in page["Functions"]
    }
    existing_groups = {
        group["logGroupName"]
        for page in logs.get_paginator("describe_log_groups").paginate()
        for group in page["logGroups"]
    }
    lines: list[tuple[int, str]] = []
    for name in find_names(function, groups):
        group = groups[name]
        if group not in existing_groups:
            continue
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            lines += [
                (event["timestamp"], f"{name}: {event['message'].rstrip()}")
                for event in page["events"]
                if not _PLATFORM_LINE.match(event["message"])
            ]
    return "\n".join(line for _, line in sorted(lines, key=lambda line: line[0]))


def find_names(part: str, names: Iterable[str]) -> list[str]:
    """Return the `names` that contain `part`, sorted.

    Raises:
        SandboxError: when no name does. Its text lists them all.
    """
    sorted_names = sorted(names)
    matches = [name for name in sorted_names if _fold(part) in _fold(name)]
    if not matches:
        raise SandboxError(f"No function's name contains {part}. The functions are: {', '.join(sorted_names)}")
    return matches


def _log_group(configuration: Mapping[str, Any]) -> str:
    configured = configuration.get("LoggingConfig", {}).get("LogGroup")
    return configured or f"/aws/lambda/{configuration['FunctionName']}"


def _logical_name(name: str) -> str:
    match = _PHYSICAL_NAME.fullmatch(name)
    return match["name"] if match else name


def _fold(name: str) -> str:
    return name.replace("_", "").lower()

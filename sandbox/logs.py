"""What the functions logged, as it stands in the emulator's CloudWatch Logs."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sandbox import aws_clients
from sandbox.endpoints import Endpoints
from sandbox.errors import SandboxError

# CloudFormation's name for a function: the stack's name, the template's own, and a random end.
_PHYSICAL_NAME: Final = re.compile(r"switchboard-(?P<name>.+?)(-[0-9A-F]{8,})?")
# What Lambda itself writes around every call.
_PLATFORM_LINE: Final = re.compile(r"(START|END|REPORT) RequestId: ")


def read_logs(endpoints: Endpoints, function: str = "") -> str:
    """Return what the functions whose name contains `function` logged, in the order it was written.

    A line is `function's name: message`. `function` is matched without regard to case and underscores, so a folder's
    name will do. What a call logged appears when the call has ended. Raises SandboxError for a
    function that there is not.
    """
    logs = aws_clients.client("logs", endpoints.aws_endpoint_url)
    functions = aws_clients.client("lambda", endpoints.aws_endpoint_url).get_paginator("list_functions").paginate()
    groups = {_short(each["FunctionName"]): _group(each) for page in functions for each in page["Functions"]}
    there = {
        each["logGroupName"]
        for page in logs.get_paginator("describe_log_groups").paginate()
        for each in page["logGroups"]
    }
    lines: list[tuple[int, str]] = []
    for name in named_like(function, groups):
        group = groups[name]
        if group not in there:
            continue
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            lines += [
                (event["timestamp"], f"{name}: {event['message'].rstrip()}")
                for event in page["events"]
                if not _PLATFORM_LINE.match(event["message"])
            ]
    return "\n".join(line for _, line in sorted(lines, key=lambda line: line[0]))


def named_like(part: str, names: Iterable[str]) -> list[str]:
    """Return those of `names` that contain `part`. Raises SandboxError when none does, which names them all."""
    among = sorted(names)
    found = [name for name in among if _folded(part) in _folded(name)]
    if not found:
        raise SandboxError(f"No function is called {part}. There are: {', '.join(among)}")
    return found


def _group(function: Mapping[str, Any]) -> str:
    configured = function.get("LoggingConfig", {}).get("LogGroup")
    return configured or f"/aws/lambda/{function['FunctionName']}"


def _short(name: str) -> str:
    match = _PHYSICAL_NAME.fullmatch(name)
    return match["name"] if match else name


def _folded(name: str) -> str:
    return name.replace("_", "").lower()

"""Imports a function once and lets clones of this process answer one event each, as SnapStart's containers do.

    python clones.py CLONES [named_at_init] < event

The function's folder is on the path. All clones start together. The last line of standard error is a JSON list of the
statuses that they answered. `named_at_init` is the mutant: the name that holds permits is made before the clones are.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any


class _Context:
    function_name = "clones"
    memory_limit_in_mb = 512
    aws_request_id = "00000000-0000-4000-8000-00000000000f"
    invoked_function_arn = "arn:aws:lambda:ap-northeast-1:000000000000:function:clones"


def main() -> None:
    """Import the function, fork the clones, and wait for all of them."""
    count, event = int(sys.argv[1]), json.load(sys.stdin)
    if sys.argv[2:] == ["named_at_init"]:
        guards: Any = importlib.import_module("switchboard.bootstrap.components.guards")
        name = guards.new_id()
        guards.new_id = lambda: name
    handler = importlib.import_module("app").lambda_handler
    is_started, start = os.pipe()
    results, result = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            os.close(start)
            os.read(is_started, 1)  # returns at the end of the pipe, which comes to all clones at once
            _answer(handler, event, result)
    os.close(start)
    os.close(result)
    with os.fdopen(results) as lines:
        statuses = [int(line) for line in lines]
    sys.stderr.write(f"\n{json.dumps(statuses)}\n")


def _answer(handler: Callable[[dict[str, Any], Any], dict[str, Any]], event: dict[str, Any], result: int) -> None:
    """Answer the event, write the status as one line, and end the process."""
    try:
        os.write(result, f"{handler(event, _Context())['statusCode']}\n".encode())
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()

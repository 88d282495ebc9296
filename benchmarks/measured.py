"""Measure one handler in a process of its own: import it, call it, and write the times to standard error.

    python measured.py MODULE APPLICATION [EVENT CALLS]

APPLICATION is the name in MODULE that builds the handler's application, or empty. The last line is
`[cpu_s, wall_s, [status, ...], [cpu_s of each call, ...]]`; the first two are those of the import. The script imports
only modules that the interpreter has loaded itself, until the clock runs.
"""

import sys
import time


class _Context:
    function_name = "benchmark"
    memory_limit_in_mb = 512
    aws_request_id = "00000000-0000-4000-8000-00000000000f"
    invoked_function_arn = "arn:aws:lambda:ap-northeast-1:000000000000:function:benchmark"


def main() -> None:
    """Import the handler, call it, and write the measurements."""
    module_name, application, *rest = sys.argv[1:]
    cpu, wall = time.process_time(), time.perf_counter()
    module = __import__(module_name)
    handler = module.lambda_handler
    if application:
        getattr(module, application)()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall

    import json  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    calls, statuses = [], []
    if rest:
        text, count = Path(rest[0]).read_text(encoding="utf-8"), int(rest[1])
        for _ in range(count):
            event = json.loads(text)
            started = time.process_time()
            reply = handler(event, _Context())
            calls.append(time.process_time() - started)
            statuses.append(reply["statusCode"])
    sys.stderr.write("\n" + json.dumps([cpu, wall, statuses, calls]) + "\n")


if __name__ == "__main__":
    main()

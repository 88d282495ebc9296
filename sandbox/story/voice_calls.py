"""Plays a voice call: its outcome, and a repeated request that places no second call."""

import time
from typing import Final

from rich.console import Console

from sandbox.story.caller import Caller

_CALL: Final = {"to": "138-0000-0001", "template_id": "123", "variables": {"name": "王", "number": "1042"}}
_KEY: Final = {"idempotency-key": "story-notice"}
_TIMEOUT_S: Final = 15.0
_POLL_S: Final = 0.3


def play(caller: Caller, console: Console) -> None:
    """Play the chapter, printing each event when it happens."""

    def print_line(text: str) -> None:
        console.print(f"  {text}", highlight=False)

    console.print("\n[bold]A voice call[/] through Baidu VMS:")
    status, call, _ = caller.post("/calls", _CALL, **_KEY)
    print_line(f"POST /v1/calls → [cyan]{status} {call.get('state')}[/], call_id {call.get('call_id')}")
    status, repeated_call, replayed = caller.post("/calls", _CALL, **_KEY)
    is_same = repeated_call.get("call_id") == call.get("call_id")
    calls = "no second call" if is_same else "[red]a second call[/]"
    print_line(f"the same key again: {status}, Idempotent-Replayed: {replayed}, {calls}")
    status, problem, _ = caller.post("/calls", {**_CALL, "template_id": "999"})
    print_line(f"an unknown template: {status} {problem.get('code')} ({problem.get('provider_code')})")
    started = time.monotonic()
    while call.get("call_id") and not call.get("reports") and time.monotonic() - started < _TIMEOUT_S:
        time.sleep(_POLL_S)
        call = caller.get(f"/calls/{call['call_id']}")
    for report in call.get("reports", ()):
        print_line(f"callback: {report['result']}; the state stays {call['state']}")

"""A voice notice, what becomes of it, and a repeat that places no second call."""

import time
from typing import Final

from rich.console import Console

from sandbox.story.caller import Caller

_NOTICE: Final = {"to": "138-0000-0001", "template_id": "123", "variables": {"name": "王", "number": "1042"}}
_KEY: Final = {"idempotency-key": "story-notice"}
_LASTS_AT_MOST_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.3


def tell(caller: Caller, console: Console) -> None:
    """Each thing as it happens."""

    def line(text: str) -> None:
        console.print(f"  {text}", highlight=False)

    console.print("\n[bold]A voice notice[/] through Baidu VMS:")
    status, call, _ = caller.post("/calls", _NOTICE, **_KEY)
    line(f"POST /v1/calls → [cyan]{status} {call.get('state')}[/], call_id {call.get('call_id')}")
    status, again, replayed = caller.post("/calls", _NOTICE, **_KEY)
    same = again.get("call_id") == call.get("call_id")
    line(f"the same key again: {status}, Idempotent-Replayed: {replayed}, the same call: {same}")
    status, refused, _ = caller.post("/calls", {**_NOTICE, "template_id": "999"})
    line(f"no such template: {status} {refused.get('code')} ({refused.get('provider_code')})")
    started = time.monotonic()
    while call.get("call_id") and not call.get("reports") and time.monotonic() - started < _LASTS_AT_MOST_S:
        time.sleep(_LOOK_EVERY_S)
        call = caller.get(f"/calls/{call['call_id']}")
    for report in call.get("reports", ()):
        line(f"reported: {report['result']}; the state stays {call['state']}")

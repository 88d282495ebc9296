"""Plays a recording: a call ends, its call action reports it, and the recordings of both parties are stored."""

import time
from typing import Any

from rich.console import Console

from sandbox.story.caller import Caller

_POLL_S = 0.2
_TIMEOUT_S = 30.0


def play(caller: Caller, console: Console) -> None:
    """Play the chapter, printing each event when it happens."""
    console.print("\n[bold]A call ends[/], and BIZTEL's call action reports its recording:")
    description = {"tel": "09000000001", "dialogue": True}
    call = caller.post_control(f"{caller.endpoints.biztel_url}/control/calls", description)
    console.print(f"  call action answered {call['actions'][-1]['answer']}: {call['id']}", highlight=False)
    recording = _wait_until_stored(caller, call["id"])
    for channel, file in recording.get("channels", {}).items():
        is_stored = file["state"] == "stored"
        detail = f"{file['bytes']} bytes, {file['seconds']} s" if is_stored else file.get("problem", "")
        console.print(f"  {channel} ({file['role']}): [green]{file['state']}[/] {detail}", highlight=False)


def _wait_until_stored(caller: Caller, recording_id: str) -> dict[str, Any]:
    """Return the recording when it is stored, or its last state after the time-out."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        recording = caller.get(f"/recordings/{recording_id}")
        if recording.get("state") == "stored" or time.monotonic() > deadline:
            return recording
        time.sleep(_POLL_S)

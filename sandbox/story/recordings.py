"""The chapter on recordings: a call ends, its call action announces it, and both sides of it are stored."""

import time
from typing import Any

from rich.console import Console

from sandbox.story.caller import Caller

_LOOK_EVERY_S = 0.2
_LASTS_AT_MOST_S = 30.0


def tell(caller: Caller, console: Console) -> None:
    """Play it, printing each thing as it happens."""
    console.print("\n[bold]A call ends[/], and BIZTEL's call action announces its recording:")
    call = caller.control(f"{caller.endpoints.biztel_url}/control/calls", {"tel": "09000000001"})
    console.print(f"  call action answered {call['actions'][-1]['answer']}: {call['id']}", highlight=False)
    recording = _fetched(caller, call["id"])
    for channel, file in recording.get("channels", {}).items():
        told = f"{file['bytes']} bytes, {file['seconds']} s" if file["state"] == "stored" else file.get("problem", "")
        console.print(f"  {channel} ({file['role']}): [green]{file['state']}[/] {told}", highlight=False)


def _fetched(caller: Caller, recording_id: str) -> dict[str, Any]:
    """The recording when it is stored, or as it stands when that takes too long."""
    ends = time.monotonic() + _LASTS_AT_MOST_S
    while True:
        recording = caller.get(f"/recordings/{recording_id}")
        if recording.get("state") == "stored" or time.monotonic() > ends:
            return recording
        time.sleep(_LOOK_EVERY_S)

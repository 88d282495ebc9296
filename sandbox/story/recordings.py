"""Plays a recording: a call ends, both parties' recordings are stored, and their conversation becomes a transcript."""

import time
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console

from sandbox.story.caller import Caller

_POLL_S: Final = 0.2
_TIMEOUT_S: Final = 30.0
_SHOWN_TURNS: Final = 12
_FINAL: Final = {"ready", "partial", "empty", "failed"}


def play(caller: Caller, console: Console) -> None:
    """Play the chapter, printing each event when it happens."""
    console.print("\n[bold]A call ends[/], and BIZTEL's call action reports its recording:")
    recording = _end_call(caller, console)
    for channel, file in recording.get("channels", {}).items():
        is_stored = file["state"] == "stored"
        detail = f"{file['bytes']} bytes, {file['seconds']} s" if is_stored else file.get("problem", "")
        console.print(f"  {channel} ({file['role']}): [green]{file['state']}[/] {detail}", highlight=False)


def play_transcripts(caller: Caller, console: Console) -> None:
    """Play the chapter of transcripts: a conversation, its roles corrected without a job, and a job that fails."""
    console.print("\n[bold]A call ends[/], and its conversation is recognised:")
    recording_id = _end_call(caller, console)["recording_id"]
    _wait_for_transcript(caller, recording_id)
    _print_turns(caller, console, recording_id)
    jobs = caller.get_control(f"{caller.endpoints.transcribe_url}/control/jobs?name={recording_id}")["count"]
    caller.post(f"/recordings/{recording_id}/roles", {"left": "operator", "right": "customer"})
    console.print("  the roles are corrected, without another job:")
    _print_turns(caller, console, recording_id, limit=2)
    again = caller.get_control(f"{caller.endpoints.transcribe_url}/control/jobs?name={recording_id}")["count"]
    month = caller.get("/status")["month_quotas"]["transcribe"]
    console.print(
        f"  jobs: {jobs}, then {again}; seconds of this month: {month['used']} of {month['limit']}", highlight=False
    )
    caller.post_control(f"{caller.endpoints.transcribe_url}/control/faults", {"kind": "failed", "times": 3})
    failing_id = _end_call(caller, console)["recording_id"]
    transcript = _wait_for_transcript(caller, failing_id)
    console.print(f"  [red]{transcript['state']}[/] after three jobs: {transcript.get('reason')}", highlight=False)


def _end_call(caller: Caller, console: Console) -> dict[str, Any]:
    """End a call with the dialogue, and return its recording when it is stored."""
    description = {"tel": "09000000001", "dialogue": True}
    call = caller.post_control(f"{caller.endpoints.biztel_url}/control/calls", description)
    console.print(f"  call action answered {call['actions'][-1]['answer']}: {call['id']}", highlight=False)
    return _wait(caller, call["id"], lambda recording: recording.get("state") == "stored")


def _wait_for_transcript(caller: Caller, recording_id: str) -> dict[str, Any]:
    recording = _wait(caller, recording_id, lambda recording: recording["transcript"]["state"] in _FINAL)
    transcript: dict[str, Any] = recording["transcript"]
    return transcript


def _print_turns(caller: Caller, console: Console, recording_id: str, *, limit: int = _SHOWN_TURNS) -> None:
    transcript = caller.get(f"/recordings/{recording_id}/transcript")
    turns = transcript.get("turns", [])
    for turn in turns[:limit]:
        console.print(f"  {turn['start']:6.1f} s {turn['role']:<8} {turn['text']}", highlight=False, markup=False)
    if limit == _SHOWN_TURNS:
        echo = transcript.get("figures", {}).get("echo_share")
        console.print(f"  {len(turns)} turns; redacted: {transcript.get('redacted')}; echo: {echo}", highlight=False)


def _wait(caller: Caller, recording_id: str, is_done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the recording once `is_done`, or its last state after the time-out."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        recording = caller.get(f"/recordings/{recording_id}")
        if is_done(recording) or time.monotonic() > deadline:
            return recording
        time.sleep(_POLL_S)

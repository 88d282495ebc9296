"""Plays two verifications by telephone: one number calls in, the other is called and hears a code."""

import time
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console

from sandbox.story.caller import Caller

_TIMEOUT_S: Final = 15.0
_POLL_S: Final = 0.2


def play(caller: Caller, console: Console) -> None:
    """Play the chapter, printing each event when it happens."""
    control = caller.endpoints.mediasms_url.replace("/sms/api/", "/control")

    def print_line(text: str) -> None:
        console.print(f"  {text}", highlight=False)

    console.print("\n[bold]Verification by an incoming call[/]:")
    status, verification, _ = caller.post("/verifications", {"to": "090-0000-0021", "mode": "call_in"})
    line = verification["call"]
    print_line(f"POST /v1/verifications → [cyan]{status} {verification['state']}[/], the number to call is {line}")
    heard = caller.post_control(f"{control}/dial", {"number": "09000000021", "line": line})["heard"]
    path = f"/verifications/{verification['verification_id']}"
    verification = _poll(lambda: caller.get(path), lambda current: bool(current["state"] != "pending"))
    print_line(f"090-0000-0021 calls it and hears {heard}: [green]{verification['state']}[/]")

    console.print("\n[bold]Verification by an outgoing call[/], which reads out a code:")
    status, verification, _ = caller.post("/verifications", {"to": "090-0000-0022", "mode": "call_out"})
    print_line(f"POST /v1/verifications → [cyan]{status} {verification['state']}[/]")
    number = "09000000022"
    requests = _poll(
        lambda: caller.get_control(f"{control}/ivr?number={number}"), lambda current: bool(_find_code(current))
    )
    code = _find_code(requests)
    path = f"/verifications/{verification['verification_id']}/check"
    wrong_code = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
    status, problem = _poll(
        lambda: caller.post(path, {"code": wrong_code})[:2],
        lambda response: response[1].get("code") != "code_not_ready",
    )
    print_line(f"a wrong code: {status} {problem.get('code')}, {problem.get('attempts_left')} attempts left")
    status, check, _ = caller.post(path, {"code": code})
    print_line(f"the code that was read out: {status} [green]{check.get('state')}[/]")


def _find_code(requests: dict[str, Any]) -> str:
    """Return the code that the phone heard, or an empty text before that."""
    return next((str(request["read_out"]) for request in requests["items"] if request["read_out"] is not None), "")


def _poll(fetch: Callable[[], Any], is_finished: Callable[[Any], bool]) -> Any:
    """Return the first value of `fetch` that is finished, or the last one after the time-out."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not is_finished(value := fetch()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return value

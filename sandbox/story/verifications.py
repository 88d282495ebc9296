"""Plays verifications: a number calls in, another is called, one gets a code, and one is out of range."""

import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from rich.console import Console

from sandbox.story.caller import Caller

_TIMEOUT_S: Final = 15.0
_POLL_S: Final = 0.2
_CALLERS: Final = 8
_RESEND_AFTER_S: Final = 30


def play(caller: Caller, console: Console) -> None:
    """Play the chapter, printing each event when it happens."""
    control = caller.endpoints.mediasms_url.replace("/sms/api/", "/control")

    def print_line(text: str) -> None:
        console.print(f"  {text}", highlight=False)

    _, resent, _ = caller.post("/verifications", {"to": "090-0000-0024", "mode": "sms_code"})
    resend_at = time.monotonic() + _RESEND_AFTER_S
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
    wrong_code = _make_wrong(code)
    status, problem = _poll(
        lambda: caller.post(path, {"code": wrong_code})[:2],
        lambda response: response[1].get("code") != "code_not_ready",
    )
    print_line(f"a wrong code: {status} {problem.get('code')}, {problem.get('attempts_left')} attempts left")
    status, check, _ = caller.post(path, {"code": code})
    print_line(f"the code that was read out: {status} [green]{check.get('state')}[/]")
    _play_codes(caller, control, print_line, console)
    time.sleep(max(0.0, resend_at - time.monotonic()))
    _play_resend(caller, control, print_line, resent["verification_id"])


def _play_codes(caller: Caller, control: str, print_line: Callable[[str], None], console: Console) -> None:
    """Play a code by SMS, and one for a phone that is out of range."""
    console.print("\n[bold]Verification by a code in an SMS[/]:")
    status, verification, _ = caller.post("/verifications", {"to": "090-0000-0023", "mode": "sms_code"})
    message = caller.get_control(f"{control}/messages?smsid={verification['verification_id']}")["items"][0]
    text = message["parameters"]["smstext"]
    [code] = re.findall("[0-9]{6}", text)
    shown = text.replace(code, "…").split("…")[0]
    print_line(f'POST /v1/verifications → [cyan]{status} {verification["state"]}[/], and the phone gets "{shown}…"')
    path = f"/verifications/{verification['verification_id']}/check"
    status, problem, _ = caller.post(path, {"code": _make_wrong(code)})
    print_line(f"a wrong code: {status} {problem.get('code')}, {problem.get('attempts_left')} attempts left")
    with ThreadPoolExecutor(_CALLERS) as pool:
        statuses = Counter(pool.map(lambda _: caller.post(path, {"code": code})[0], range(_CALLERS)))
    print_line(f"eight callers with the right code: {statuses[200]} × 200, {statuses[409]} × 409")

    number = "09000000017"
    fallback = {"mode": "call_out", "after_seconds": 60}
    _, verification, _ = caller.post("/verifications", {"to": number, "mode": "sms_code", "fallback": fallback})
    requests = _poll(
        lambda: caller.get_control(f"{control}/ivr?number={number}"), lambda current: bool(_find_code(current))
    )
    path = f"/verifications/{verification['verification_id']}/check"
    code = _find_code(requests)
    status, check = _poll(
        lambda: caller.post(path, {"code": code})[:2],
        lambda response: bool(response[1].get("code") != "code_not_ready"),
    )
    print_line(
        f"090-0000-0017 is out of range: the phone rings, and its code is checked: {status} "
        f"[green]{check.get('state')}[/] by {check.get('verified_by')}"
    )


def _play_resend(caller: Caller, control: str, print_line: Callable[[str], None], verification_id: str) -> None:
    """Send another code, which ends the first one."""
    path = f"/verifications/{verification_id}"
    status, verification, _ = caller.post(f"{path}/resend", {})
    ids = (verification_id, f"{verification_id}r2")
    messages = [caller.get_control(f"{control}/messages?smsid={smsid}")["items"][0] for smsid in ids]
    older, newer = (re.findall("[0-9]{6}", message["parameters"]["smstext"])[0] for message in messages)
    print_line(f"a resend after {_RESEND_AFTER_S} seconds: {status}, {verification['resends_left']} resends left")
    status, problem, _ = caller.post(f"{path}/check", {"code": older})
    print_line(f"the older code: {status} {problem.get('code')}")
    status, check, _ = caller.post(f"{path}/check", {"code": newer})
    print_line(f"the newer code: {status} [green]{check.get('state')}[/]")


def _make_wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def _find_code(requests: dict[str, Any]) -> str:
    """Return the last code that was read out to the phone, or an empty text before that."""
    codes = [str(request["read_out"]) for request in requests["items"] if request["read_out"] is not None]
    return codes[-1] if codes else ""


def _poll(fetch: Callable[[], Any], is_finished: Callable[[Any], bool]) -> Any:
    """Return the first value of `fetch` that is finished, or the last one after the time-out."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not is_finished(value := fetch()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return value

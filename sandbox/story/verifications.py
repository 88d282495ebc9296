"""Numbers verified by telephone: one that calls in, and one that is called and hears a code."""

import time
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console

from sandbox.story.caller import Caller

_LASTS_AT_MOST_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.2


def tell(caller: Caller, console: Console) -> None:
    """Each thing as it happens."""
    control = caller.endpoints.mediasms_url.replace("/sms/api/", "/control")

    def line(text: str) -> None:
        console.print(f"  {text}", highlight=False)

    console.print("\n[bold]A number is verified[/] by its own call:")
    status, started, _ = caller.post("/verifications", {"to": "090-0000-0021", "mode": "call_in"})
    line(f"POST /v1/verifications → [cyan]{status} {started['state']}[/]: please call {started['call']}")
    heard = caller.control(f"{control}/dial", {"number": "09000000021", "line": started["call"]})["heard"]
    own = f"/verifications/{started['verification_id']}"
    seen = _until(lambda: caller.get(own), lambda each: bool(each["state"] != "pending"))
    line(f"090-0000-0021 dials it and hears {heard}: [green]{seen['state']}[/]")

    console.print("\n[bold]A number is called[/] and hears a code:")
    status, started, _ = caller.post("/verifications", {"to": "090-0000-0022", "mode": "call_out"})
    line(f"POST /v1/verifications → [cyan]{status} {started['state']}[/]")
    number = "09000000022"
    calls = _until(lambda: caller.ask(f"{control}/ivr?number={number}"), lambda each: bool(_read_out(each)))
    code = _read_out(calls)
    check = f"/verifications/{started['verification_id']}/check"
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
    told = _until(lambda: caller.post(check, {"code": wrong})[:2], lambda each: each[1].get("code") != "code_not_ready")
    line(f"another code: {told[0]} {told[1].get('code')}, {told[1].get('attempts_left')} attempts left")
    status, checked, _ = caller.post(check, {"code": code})
    line(f"the code that was read out: {status} [green]{checked.get('state')}[/]")


def _read_out(calls: dict[str, Any]) -> str:
    """What the telephone has said, or nothing yet."""
    return next((str(each["read_out"]) for each in calls["items"] if each["read_out"] is not None), "")


def _until(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What is seen once it is as wanted, or as it is when that takes too long."""
    ends = time.monotonic() + _LASTS_AT_MOST_S
    while not wanted(seen := look()) and time.monotonic() < ends:
        time.sleep(_LOOK_EVERY_S)
    return seen

"""Messages, their fates, and what a retry does."""

import time
from dataclasses import dataclass, field
from threading import Thread
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sandbox.story.caller import Caller

_LASTS_AT_MOST_S: Final = 25.0
_LOOK_EVERY_S: Final = 0.15
# A caller's messages seldom come all at once, and a function's first call takes longer than the others.
_APART_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Scene:
    """One message of the story. The numbers are the simulator's: each always ends the same way."""

    to: str
    title: str
    text: str
    ends: str


SCENES: Final = (
    Scene("090-0000-0001", "delivered at once", "認証コードは 000001 です。", "delivered"),
    Scene("090-0000-0002", "out of range, then delivered", "認証コードは 000002 です。", "delivered"),
    Scene("090-0000-0003", "cannot be delivered", "認証コードは 000003 です。", "failed"),
    Scene("090-0000-0004", "nothing is ever heard", "認証コードは 000004 です。", "accepted"),
    Scene("090-0000-0005", "the provider's answer is lost", "認証コードは 000005 です。", "delivered"),
)


@dataclass(slots=True)
class Sending:
    """What became of one scene's message, as far as it has been seen."""

    scene: Scene
    answered: str = ""
    states: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    billable: bool = False


def tell(caller: Caller, console: Console) -> None:
    """Each thing as it happens, and a table of it all at the end."""
    console.print("\n[bold]Before anything is sent[/]: a dry run names what the telephones could not show.")
    _dry_run(caller, console)
    console.print("\n[bold]Five messages[/], each to a number that always ends the same way:")
    sendings = [Sending(scene) for scene in SCENES]
    threads = [Thread(target=_follow, args=(caller, console, each), daemon=True) for each in sendings]
    for thread in threads:
        thread.start()
        time.sleep(_APART_S)
    for thread in threads:
        thread.join()
    console.print()
    console.print(_table(sendings))
    console.print("\n[bold]The same request again[/], with the same Idempotency-Key:")
    _repeat(caller, console)


def _dry_run(caller: Caller, console: Console) -> None:
    body = {"to": "090-0000-0001", "text": "予約①を受け付けました😀", "dry_run": True}
    _, preflight, _ = caller.post("/sms", body)
    for problem in preflight["problems"]:
        console.print(f"  {problem['character']} at {problem['position']}: {problem['code']}", highlight=False)


def _follow(caller: Caller, console: Console, sending: Sending) -> None:
    scene = sending.scene
    started = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"  {time.monotonic() - started:4.1f} s  {scene.to}  {text}", highlight=False)

    status, message, _ = caller.post("/sms", {"to": scene.to, "text": scene.text}, **_key(scene))
    sending.answered = f"{status} {message['state']}"
    tell(f"{scene.title}: POST /v1/sms → [cyan]{sending.answered}[/]")
    while True:
        for report in message["reports"][len(sending.reports) :]:
            sending.reports.append(f"{report['status']} {report['name']}")
            tell(f"report {report['status']} {report['name']} ({report['meaning']})")
        if message["state"] not in sending.states[-1:]:
            sending.states.append(message["state"])
            tell(f"state [green]{message['state']}[/]")
        sending.billable = message["billable"]
        silent = scene.ends == "accepted" and time.monotonic() - started > 2
        if (message["state"] == scene.ends and scene.ends != "accepted") or silent:
            return
        if time.monotonic() - started > _LASTS_AT_MOST_S:
            tell("[red]did not end as it should have[/]")
            return
        time.sleep(_LOOK_EVERY_S)
        message = caller.get(f"/sms/{message['smsid']}")


def _repeat(caller: Caller, console: Console) -> None:
    scene = SCENES[0]
    status, message, replayed = caller.post("/sms", {"to": scene.to, "text": scene.text}, **_key(scene))
    console.print(f"  {status} {message['state']}, Idempotent-Replayed: {replayed}: nothing was sent", highlight=False)
    status, problem, _ = caller.post("/sms", {"to": scene.to, "text": "another text"}, **_key(scene))
    console.print(f"  another body: {status} {problem['code']}", highlight=False)


def _key(scene: Scene) -> dict[str, str]:
    return {"idempotency-key": f"story-{scene.to}"}


def _table(sendings: list[Sending]) -> Table:
    table = Table(title="What became of them", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("number", "answer", "states", "reports", "billed"):
        table.add_column(heading, no_wrap=heading == "number")
    for each in sendings:
        table.add_row(
            each.scene.to,
            each.answered,
            " → ".join(each.states),
            ", ".join(report.split()[0] for report in each.reports) or "none",
            "yes" if each.billable else "no",
        )
    return table

"""Plays five messages with different outcomes, a repeated request that sends nothing, and messages for later."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sandbox.story.caller import Caller

_TIMEOUT_S: Final = 25.0
_POLL_S: Final = 0.15
_SILENCE_S: Final = 2.0
"""The time after which a message that gets no report counts as finished."""
# A caller rarely sends all messages at once, and the first call of a function takes longer than the others.
_PAUSE_S: Final = 0.5


_LATER_S: Final = 6
_SUPPRESSED: Final = "090-0000-0050"


@dataclass(frozen=True, slots=True)
class Scene:
    """One message of the story, to a number with a fixed outcome."""

    to: str
    title: str
    text: str
    final_state: str


SCENES: Final = (
    Scene("090-0000-0001", "delivered at once", "認証コードは 000001 です。", "delivered"),
    Scene("090-0000-0002", "out of range, then delivered", "認証コードは 000002 です。", "delivered"),
    Scene("090-0000-0003", "cannot be delivered", "認証コードは 000003 です。", "failed"),
    Scene("090-0000-0004", "no report ever arrives", "認証コードは 000004 です。", "accepted"),
    Scene("090-0000-0005", "the provider's answer is lost", "認証コードは 000005 です。", "delivered"),
)


@dataclass(slots=True)
class SceneProgress:
    """The observed progress of one scene's message."""

    scene: Scene
    answer: str = ""
    states: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    billable: bool = False


def play(caller: Caller, console: Console) -> None:
    """Play the chapter, printing each event when it happens and a table at the end."""
    console.print("\n[bold]A dry run[/] lists characters that phones cannot show, and sends nothing:")
    _show_dry_run(caller, console)
    play_outcomes(caller, console)
    console.print(f"\n[bold]Three messages for later[/], {_LATER_S} seconds ahead:")
    _play_later(caller, console)


def play_outcomes(caller: Caller, console: Console) -> None:
    """Send five messages, print the table of their outcomes, and repeat the first request."""
    console.print("\n[bold]Five messages[/], each to a number with a fixed outcome:")
    progresses = [SceneProgress(scene) for scene in SCENES]
    threads = [Thread(target=_follow, args=(caller, console, progress), daemon=True) for progress in progresses]
    for thread in threads:
        thread.start()
        time.sleep(_PAUSE_S)
    for thread in threads:
        thread.join()
    console.print()
    console.print(_build_table(progresses))
    console.print("\n[bold]The same request again[/], with the same Idempotency-Key:")
    _repeat_request(caller, console)


def _show_dry_run(caller: Caller, console: Console) -> None:
    body = {"to": "090-0000-0001", "text": "予約①を受け付けました😀", "dry_run": True}
    _, preflight, _ = caller.post("/sms", body)
    for problem in preflight["problems"]:
        console.print(f"  {problem['character']} at position {problem['position']}: {problem['code']}", highlight=False)


def _follow(caller: Caller, console: Console, progress: SceneProgress) -> None:
    scene = progress.scene
    started = time.monotonic()

    def print_line(text: str) -> None:
        console.print(f"  {time.monotonic() - started:4.1f} s  {scene.to}  {text}", highlight=False)

    status, message, _ = caller.post("/sms", {"to": scene.to, "text": scene.text}, **_key_header(scene))
    progress.answer = f"{status} {message['state']}"
    print_line(f"{scene.title}: POST /v1/sms → [cyan]{progress.answer}[/]")
    while True:
        for report in message["reports"][len(progress.reports) :]:
            progress.reports.append(f"{report['status']} {report['name']}")
            print_line(f"report {report['status']} {report['name']} ({report['meaning']})")
        if message["state"] not in progress.states[-1:]:
            progress.states.append(message["state"])
            print_line(f"state [green]{message['state']}[/]")
        progress.billable = message["billable"]
        if scene.final_state == "accepted":
            is_finished = time.monotonic() - started > _SILENCE_S
        else:
            is_finished = message["state"] == scene.final_state
        if is_finished:
            return
        if time.monotonic() - started > _TIMEOUT_S:
            print_line(f"[red]not {scene.final_state} after {_TIMEOUT_S:.0f} seconds[/]")
            return
        time.sleep(_POLL_S)
        message = caller.get(f"/sms/{message['smsid']}")


def _repeat_request(caller: Caller, console: Console) -> None:
    scene = SCENES[0]
    status, message, replayed = caller.post("/sms", {"to": scene.to, "text": scene.text}, **_key_header(scene))
    console.print(f"  {status} {message['state']}, Idempotent-Replayed: {replayed}, not sent again", highlight=False)
    status, problem, _ = caller.post("/sms", {"to": scene.to, "text": "another text"}, **_key_header(scene))
    console.print(f"  with another text: {status} {problem['code']}", highlight=False)


def _play_later(caller: Caller, console: Console) -> None:
    """Schedule three messages: one leaves, one is canceled, and the number of one is suppressed."""
    send_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=_LATER_S + 1)

    def schedule(to: str) -> str:
        body = {"to": to, "text": "ご予約は明日です。", "send_at": send_at.isoformat()}
        status, message, _ = caller.post("/sms", body)
        console.print(f"  {to}  POST /v1/sms → [cyan]{status} {message['state']}[/]", highlight=False)
        return str(message["smsid"])

    sent, canceled, suppressed = schedule("090-0000-0001"), schedule("090-0000-0001"), schedule(_SUPPRESSED)
    console.print(f"  DELETE /v1/sms/… → {caller.delete(f'/sms/{canceled}')} for the second", highlight=False)
    status = caller.put(f"/suppressions/{_SUPPRESSED}", {"reason": "the story"})
    console.print(f"  PUT /v1/suppressions/{_SUPPRESSED} → {status} for the third", highlight=False)
    end = time.monotonic() + _TIMEOUT_S
    messages = [caller.get(f"/sms/{smsid}") for smsid in (sent, canceled, suppressed)]
    while time.monotonic() < end and not all(message["final"] for message in messages):
        time.sleep(_POLL_S)
        messages = [caller.get(f"/sms/{smsid}") for smsid in (sent, canceled, suppressed)]
    caller.delete(f"/suppressions/{_SUPPRESSED}")
    for message in messages:
        problem = f", {message['problem']}" if message["problem"] else ""
        line = f"{message['to']}  state [green]{message['state']}[/]{problem}, {message['attempts']} attempts"
        if message["reports"]:
            first = datetime.fromisoformat(message["reports"][0]["at"])
            line += f", first report {(first - send_at).total_seconds():.1f} s after send_at"
        console.print(f"  {line}", highlight=False)


def _key_header(scene: Scene) -> dict[str, str]:
    return {"idempotency-key": f"story-{scene.to}"}


def _build_table(progresses: list[SceneProgress]) -> Table:
    table = Table(title="Outcomes", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("number", "answer", "states", "reports", "billed"):
        table.add_column(heading, no_wrap=heading == "number")
    for progress in progresses:
        table.add_row(
            progress.scene.to,
            progress.answer,
            " → ".join(progress.states),
            ", ".join(report.split()[0] for report in progress.reports) or "none",
            "yes" if progress.billable else "no",
        )
    return table

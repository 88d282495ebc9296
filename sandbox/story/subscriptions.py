"""Plays a subscription: signed posts of changes, and one post an item after the receiver was off for a while."""

import time
from collections.abc import Callable
from typing import Final

from rich.console import Console

from sandbox.story.caller import Caller
from sandbox.webhook_receiver import WebhookReceiver

_MESSAGES_WHILE_OFF: Final = 8
_OFF_S: Final = 20.0
_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.3


def play(caller: Caller, console: Console) -> None:
    """Play the chapter, printing each event when it happens."""

    def print_line(text: str) -> None:
        console.print(f"  {text}", highlight=False)

    console.print("\n[bold]A subscription[/]: changes are posted to the company's own address:")
    with WebhookReceiver() as receiver:
        status, subscription, _ = caller.post("/subscriptions", {"url": receiver.url, "events": ["sms"]})
        path = f"/subscriptions/{subscription.get('subscription_id')}"
        receiver.secret = subscription.get("secret", "")
        print_line(f"POST /v1/subscriptions → [cyan]{status} {subscription.get('state')}[/], with a secret")
        caller.post("/sms", {"to": "090-0000-0001", "text": "A change is posted"})
        _print_posts(receiver, print_line, items=1)
        receiver.is_on = False
        for number in range(_MESSAGES_WHILE_OFF):
            caller.post("/sms", {"to": "090-0000-0001", "text": f"While the receiver is off, {number + 1}"})
        time.sleep(_OFF_S)
        state = caller.get(path).get("state")
        print_line(f"the receiver is off for 20 s: {receiver.refused} posts refused, the address is [yellow]{state}[/]")
        receiver.is_on = True
        state = caller.patch(path, {"state": "active"}).get("state")
        print_line(f"the receiver is back, and asks for one post at once: [cyan]{state}[/]")
        _print_posts(receiver, print_line, items=_MESSAGES_WHILE_OFF)
        caller.delete(path)


def _print_posts(receiver: WebhookReceiver, print_line: Callable[[str], None], *, items: int) -> None:
    """Print each genuine post, until so many items are decided or have been posted."""
    seen: dict[str, str] = {}
    started = time.monotonic()
    while time.monotonic() - started < _TIMEOUT_S:
        for post in receiver.take():
            seen[post.data["smsid"]] = post.data["state"]
            print_line(f"signed post {post.kind}: {post.data['state']}, sequence {post.data['sequence']}")
        if sum(state == "delivered" for state in seen.values()) >= items:
            return
        time.sleep(_POLL_S)

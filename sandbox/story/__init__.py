"""The story that `make run` plays through everything it has brought up, one chapter a provider's service."""

import os
from collections.abc import Callable
from typing import Final

from rich.console import Console

from sandbox.endpoints import Endpoints
from sandbox.story import messages, recordings, verifications, voice_calls
from sandbox.story.caller import Caller

Chapter = Callable[[Caller, Console], None]

# Each with the variable that, when set, puts another server in the place of the simulator whose numbers it plays with.
CHAPTERS: Final[tuple[tuple[str, Chapter], ...]] = (
    ("MEDIASMS_URL", messages.tell),
    ("MEDIASMS_URL", verifications.tell),
    ("BIZTEL_URL", recordings.tell),
    ("BAIDU_VMS_URL", voice_calls.tell),
)


def play(endpoints: Endpoints, *, console: Console | None = None) -> None:
    """Play it, printing each thing as it happens."""
    console = console or Console(soft_wrap=True)
    caller = Caller(endpoints)
    for variable, tell in CHAPTERS:
        if os.environ.get(variable):
            console.print(f"A chapter is the simulator's; {variable} names another server, so it is left out.")
        else:
            tell(caller, console)

"""Plays the story of `make run`: one chapter for each service of a provider."""

import os
from collections.abc import Callable
from typing import Final

from rich.console import Console

from sandbox.endpoints import Endpoints
from sandbox.story import messages, recordings, subscriptions, verifications, voice_calls
from sandbox.story.caller import Caller

Chapter = Callable[[Caller, Console], None]

CHAPTERS: Final[tuple[tuple[tuple[str, ...], Chapter], ...]] = (
    (("MEDIASMS_URL",), messages.play),
    (("MEDIASMS_URL",), verifications.play),
    (("BIZTEL_URL",), recordings.play),
    (("BIZTEL_URL", "TRANSCRIBE_URL", "RECOGNIZER_URL"), recordings.play_transcripts),
    (("BAIDU_VMS_URL",), voice_calls.play),
    (("MEDIASMS_URL",), subscriptions.play),
)
"""Each chapter with the variables that name other servers than the simulators that the chapter uses."""


def play(endpoints: Endpoints, *, console: Console | None = None) -> None:
    """Play every chapter, printing each event when it happens."""
    console = console or Console(soft_wrap=True)
    caller = Caller(endpoints)
    for variables, play_chapter in CHAPTERS:
        named = [variable for variable in variables if os.environ.get(variable)]
        if named:
            console.print(f"One chapter is skipped: it needs the simulator, and {named[0]} names another server.")
        else:
            play_chapter(caller, console)

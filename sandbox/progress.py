"""Shows what the sandbox is doing: a moving line for a person at a terminal, plain lines for a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

Update = Callable[[str], None]
"""Replaces the detail shown behind a step's title."""


class Progress:
    """Steps one after another, each with its duration when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Update]:
        """Show `title` while the block runs; the block may keep its detail up to date."""
        started = time.monotonic()
        detail = ""
        with self._console.status(f"{title} …") as status:

            def update(text: str) -> None:
                nonlocal detail
                detail = f" · {text}"
                status.update(escape(f"{title}{detail} …"))

            try:
                yield update
            except BaseException:
                self._line("[red]✗[/]", f"{title}{detail}", started)
                raise
        self._line("[green]✓[/]", f"{title}{detail}", started)

    def _line(self, mark: str, text: str, started: float) -> None:
        took = f"{time.monotonic() - started:.1f} s"
        self._console.print(f"{mark} {escape(text)} [dim]{took}[/]", highlight=False)

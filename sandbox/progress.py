"""Shows the progress of the sandbox: a moving line on a terminal, plain lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

Update = Callable[[str], None]
"""A function that replaces the detail behind a step's title."""


class Progress:
    """A list of steps, each printed with its duration when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Update]:
        """Show `title` while the block runs, and yield a function that updates its detail."""
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
                self._print_line("[red]✗[/]", f"{title}{detail}", started)
                raise
        self._print_line("[green]✓[/]", f"{title}{detail}", started)

    def _print_line(self, mark: str, text: str, started: float) -> None:
        duration = f"{time.monotonic() - started:.1f} s"
        self._console.print(f"{mark} {escape(text)} [dim]{duration}[/]", highlight=False)

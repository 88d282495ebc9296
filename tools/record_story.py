"""Draw docs/pictures/five_messages.svg: the part of the story that README shows, as it ran on this machine.

Bring a new sandbox up first: `make run DEMO=0`. Then run this with `.venv/sandbox/bin/python -m tools.record_story`.
"""

import io
import re
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from sandbox.endpoints import Endpoints
from sandbox.paths import REPOSITORY, SandboxPaths
from sandbox.story import messages
from sandbox.story.caller import Caller

PICTURE: Final = REPOSITORY / "docs/pictures/five_messages.svg"
COLUMNS: Final = 90
# Rich's own form loads its font from a server.
WITHOUT_FONTS: Final = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> None:
    """Play the five messages on a running sandbox, and write the picture."""
    endpoints = Endpoints.read(SandboxPaths.from_environment().endpoints)
    console = Console(record=True, width=COLUMNS, force_terminal=True, file=io.StringIO())
    messages.play_outcomes(Caller(endpoints), console)
    PICTURE.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="make run", theme=MONOKAI, code_format=WITHOUT_FONTS, unique_id="story")
    PICTURE.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()

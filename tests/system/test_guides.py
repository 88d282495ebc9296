"""The commands of the tutorial and the guides run word for word, and their answers are those of the pages.

A page's blocks of `sh` run in one shell, one after another. A block of `text` below one shows its answer: `…` stands
for what is left out, and times and URLs may differ.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.docs.answers import find_differences
from tests.docs.pages import find_pages, read_page
from tests.system.conftest import REPOSITORY, TIMEOUT_S, Api

pytestmark = pytest.mark.xdist_group("sandbox")

BLOCKS: Final = re.compile(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
ON_AWS: Final = "docs/runbook.md"
"""Its commands need AWS CLI."""
PAGES: Final = tuple(
    page
    for page in find_pages()
    if page != ON_AWS and not page.startswith("docs/ja/") and "\n```sh\n" in read_page(page)
)
END: Final = "\x1e"


@pytest.fixture
def shell_folder(sandbox_dir: Path, tmp_path: Path) -> Path:
    """Return a folder in which the commands find what they find in the repository's, beside this sandbox."""
    (tmp_path / ".sandbox").symlink_to(sandbox_dir)
    for name in (".venv", "sandbox", "examples"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_answer_as_the_page_shows(
    api: Api, sandbox_dir: Path, shell_folder: Path, page: str
) -> None:
    blocks = BLOCKS.findall(read_page(page))
    script = "".join(f"{commands}\nprintf '{END}'\n" for commands, _ in blocks)

    run = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        check=False,
        cwd=shell_folder,
        env={**os.environ, "SANDBOX_DIR": str(sandbox_dir)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )

    outputs = run.stdout.split(END)
    assert run.returncode == 0, (outputs[-1], run.stderr[-2000:])
    for (commands, shown), output in zip(blocks, outputs, strict=False):
        assert find_differences(shown, output) == [], (commands, output)
        assert "internal_error" not in output, (commands, output)

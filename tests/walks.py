"""Counts the files that one invocation of a handler runs through, and the jumps between them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from tests.translated_template import ROOT

_OURS: Final = (f"{ROOT / 'layers'}/", f"{ROOT / 'functions'}/")


@dataclass(slots=True)
class Walk:
    """The files whose code ran, and how many calls led from one of them into another."""

    files: set[str] = field(default_factory=set)
    jumps: int = 0

    def _record(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or not _is_ours(frame):
            return
        self.files.add(frame.f_code.co_filename)
        caller = frame.f_back
        while caller is not None and not _is_ours(caller):
            caller = caller.f_back
        self.jumps += caller is not None and caller.f_code.co_filename != frame.f_code.co_filename


def _is_ours(frame: FrameType) -> bool:
    """Return True for our own code, except while a module is imported: a container does that once."""
    code = frame.f_code
    return code.co_filename.startswith(_OURS) and code.co_name != "<module>"


@contextmanager
def walked() -> Iterator[Walk]:
    """Record the walk of the code that this thread runs inside the `with` block."""
    walk = Walk()
    earlier = sys.getprofile()
    sys.setprofile(walk._record)
    try:
        yield walk
    finally:
        sys.setprofile(earlier)

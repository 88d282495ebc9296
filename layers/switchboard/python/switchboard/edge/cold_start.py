"""Ends the first part of a cold start, the imports."""

from __future__ import annotations

import gc


def end_imports() -> None:
    """Resume garbage collection, if the package stopped it, and spare what is imported by now. A handler needs it."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()

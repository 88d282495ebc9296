"""Ends the first part of a cold start, the imports."""

from __future__ import annotations

import gc


def end_imports() -> None:
    """Start garbage collection again, if the package stopped it, and spare what is imported by now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()

"""Holds what a provider reports of a voice call. A webhook loads this module, and not the calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallResult:
    """A provider's later report about a call. `result` is the provider's own word, which nothing here interprets."""

    call_id: str
    result: str

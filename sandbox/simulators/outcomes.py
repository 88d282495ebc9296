"""Holds the ways in which the connection of a request to a simulator can end."""

from enum import StrEnum


class Outcome(StrEnum):
    """The end of a request's connection."""

    ANSWERED = "answered"
    SPOILT = "spoilt"
    """Answered, but with the wrong bytes, the wrong length or at the wrong pace."""
    RESET = "reset"
    KEPT_OPEN = "held"  # codespell:ignore held
    """Kept open for a time, then closed without an answer."""
    DROPPED = "dropped"
    """Closed at once without an answer."""
    CUT = "cut"
    """Closed in the middle of the answer."""
    GARBAGE = "garbage"

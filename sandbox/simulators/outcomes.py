"""How the connection of a request to a simulator ended."""

from enum import StrEnum


class Outcome(StrEnum):
    """How the connection of a request ended."""

    ANSWERED = "answered"
    SPOILT = "spoilt"
    """Answered, but with other bytes, another length or another pace than is right."""
    RESET = "reset"
    HELD = "held"
    """Kept open for a time, then closed without an answer."""
    DROPPED = "dropped"
    """Closed at once without an answer."""
    CUT = "cut"
    """Closed in the middle of the answer."""
    GARBAGE = "garbage"

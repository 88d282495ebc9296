"""Where the facts about messages are kept."""

from __future__ import annotations

from typing import Protocol

from switchboard.domain.messages import Message
from switchboard.ports.orders import OrderStore
from switchboard.ports.reports import ReportStore


class MessageStore(OrderStore[Message], ReportStore, Protocol):
    """The facts about messages, and what is reported of them."""

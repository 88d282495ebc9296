"""Readers for the status page, over the other fakes."""

from __future__ import annotations

from datetime import datetime

from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.ports.status import DeadlineReader, ProviderLimitReader, QueueDepth, QueueReader
from tests.fakes.sms import InMemoryMessageStore
from tests.fakes.stores import InMemoryProviderLimitStore


class InMemoryProviderLimitReader(ProviderLimitReader):
    """A ProviderLimitReader over the states of an InMemoryProviderLimitStore."""

    def __init__(self, store: InMemoryProviderLimitStore) -> None:
        self._store = store

    def read(self, key: str) -> ProviderLimitState:
        return self._store.states.get(key, ProviderLimitState())


class InMemoryDeadlineReader(DeadlineReader):
    """A DeadlineReader over the open messages of an InMemoryMessageStore."""

    def __init__(self, messages: InMemoryMessageStore) -> None:
        self._messages = messages

    def oldest_pending_deadline(self) -> datetime | None:
        return min((row.due for row in self._messages.rows.values() if row.due is not None), default=None)


class FixedQueueReader(QueueReader):
    """A QueueReader whose depth does not change."""

    def __init__(self, *, waiting: int = 0, delayed: int = 0, under_way: int = 0) -> None:
        self._depth = QueueDepth(waiting=waiting, delayed=delayed, under_way=under_way)

    def depth(self) -> QueueDepth:
        return self._depth

"""The application of `functions/send_queued_sms`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue

from switchboard.bootstrap.messages import message_store, outbox
from switchboard.bootstrap.parts import CLOCK
from switchboard.bootstrap.sender import Sender, new_id, senders
from switchboard.config import SendQueuedSmsSettings
from switchboard.guard.gate import PacedGates
from switchboard.usecases.send_queued_sms import QueuedOutcome, SendQueuedSms


class QueuedSenders:
    """Threads that each send one message at a time, at slots which one write has reserved for all of them: slots of
    one block follow each other faster than one thread could answer them."""

    def __init__(self, *, gates: PacedGates, verbs: list[SendQueuedSms]) -> None:
        self._gates = gates
        self._pool = ThreadPoolExecutor(max_workers=len(verbs))
        self._free: SimpleQueue[SendQueuedSms] = SimpleQueue()
        for verb in verbs:
            self._free.put(verb)

    def __call__(self, smsid: str) -> QueuedOutcome:
        """Sends one, once one of the senders is free."""
        verb = self._free.get()
        try:
            return verb(smsid)
        finally:
            self._free.put(verb)

    @contextmanager
    def side_by_side(self, size: int) -> Iterator[Callable[[Callable[[], None]], Callable[[], None]]]:
        """What starts one of `size` tasks, and gives back what waits for it and raises what it raised."""
        with self._gates.batch(size):
            yield lambda task: self._pool.submit(task).result


@cache
def application() -> QueuedSenders:
    """Built once a container. Raises ConfigurationError."""
    settings = SendQueuedSmsSettings.load()
    messages = message_store(settings)
    queue = outbox(settings)

    def verb(sender: Sender) -> SendQueuedSms:
        return SendQueuedSms(
            messages=messages,
            submission=sender.submission,
            bulk_submission=sender.bulk,
            outbox=queue,
            clock=CLOCK,
            new_id=new_id,
            put_back_delay_s=settings.put_back_delay_s,
        )

    ready = senders(
        settings, messages, seats=settings.queue_threads, bulk_in_flight_limit=settings.bulk_in_flight_limit
    )
    return QueuedSenders(gates=ready.gates, verbs=[verb(sender) for sender in ready.each])

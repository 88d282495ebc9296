"""The application of `functions/send_queued_sms`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue
from typing import Final

from switchboard.bootstrap.components.mediasms import Sender, build_senders, new_id
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import message_store, outbox
from switchboard.config import SendQueuedSmsSettings
from switchboard.guard.provider.rate_limiter import ProviderGuards
from switchboard.ports.orders import RetryDelay
from switchboard.storage import aws
from switchboard.storage.queues import SqsRetryDelay
from switchboard.storage.retrying import SUBMISSION, retrying
from switchboard.usecases.sms.send_queued import QueuedOutcome, SendQueuedSms

# The template's MaximumConcurrency of the queues' event sources.
CONTAINERS_A_QUEUE: Final = 2


class QueuedSenders:
    """Threads that each send one message at a time, at slots which one write has reserved for all of them: slots of
    one block follow each other faster than one thread could answer them."""

    def __init__(
        self, *, guards: ProviderGuards, verbs: Sequence[SendQueuedSms], bulk_queue: str, bulk_threads: int
    ) -> None:
        """`bulk_queue` is a queue's name: its batches have only so many threads."""
        self._guards = guards
        self._verbs = verbs
        self._bulk_queue = bulk_queue
        self._bulk_threads = bulk_threads
        self._pool = ThreadPoolExecutor(max_workers=len(verbs))
        self._free: SimpleQueue[SendQueuedSms] = SimpleQueue()

    def __call__(self, smsid: str) -> QueuedOutcome:
        """Sends one, once one of the senders is free."""
        verb = self._free.get()
        try:
            return verb(smsid)
        finally:
            self._free.put(verb)

    @contextmanager
    def side_by_side(self, size: int, *, queue: str) -> Iterator[Callable[[Callable[[], None]], Callable[[], None]]]:
        """What starts one of `size` tasks, and gives back what waits for it and raises what it raised."""
        threads = self._bulk_threads if queue == self._bulk_queue else len(self._verbs)
        self._free = SimpleQueue()
        for verb in self._verbs[:threads]:
            self._free.put(verb)
        with self._guards.batch(size, workers=threads):
            yield lambda task: self._pool.submit(task).result


@cache
def application() -> QueuedSenders:
    """Built once a container. Raises ConfigurationError."""
    settings = SendQueuedSmsSettings.load()
    messages = retrying(message_store(settings), *SUBMISSION)
    queue = outbox(settings)

    def build(sender: Sender) -> SendQueuedSms:
        return SendQueuedSms(
            messages=messages,
            submission=sender.submission,
            bulk_submission=sender.bulk,
            outbox=queue,
            clock=CLOCK,
            new_id=new_id,
            requeue_delay_s=settings.requeue_delay_s,
        )

    threads = _threads(settings, places=settings.in_flight_limit - 1)
    senders = build_senders(settings, messages, workers=threads, bulk_in_flight_limit=settings.bulk_in_flight_limit)
    return QueuedSenders(
        guards=senders.guards,
        verbs=[build(sender) for sender in senders.workers],
        bulk_queue=settings.bulk_queue_url.rpartition("/")[2],
        bulk_threads=min(threads, _threads(settings, places=settings.bulk_in_flight_limit)),
    )


def retry_delay() -> RetryDelay:
    """Of both queues. Raises ConfigurationError."""
    settings = SendQueuedSmsSettings.load()
    return SqsRetryDelay(client=aws.sqs, queue_urls=(settings.outbox_queue_url, settings.bulk_queue_url))


def _threads(settings: SendQueuedSmsSettings, *, places: int) -> int:
    """More threads than there are places would only wait for each other, each until its patience ends."""
    if settings.mediasms_lockout_policy == "full_rate":
        return settings.queue_threads
    return max(1, min(settings.queue_threads, places // CONTAINERS_A_QUEUE))

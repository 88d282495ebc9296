"""Makes handlers of SQS batches from functions of one queue entry. A handler reports the entries that failed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.domain.errors import SwitchboardError
from switchboard.edge.background import background_endpoint
from switchboard.edge.endpoint import log_fields, log_unexpected
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger
from switchboard.ports.orders import RetryDelay

_LAST: Final = "~"
_FIRST_DELAY_S: Final = 15
_MAX_DELAY_S: Final = 900

EntryHandler = Callable[[dict[str, Any], LambdaContext], None]
BatchHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]
Task = Callable[[], None]
StartTask = Callable[[Task], Task]
"""Starts a task and returns a function that waits for its end and raises what it raised."""
BatchRunner = Callable[[int, str], AbstractContextManager[StartTask]]
"""Runs a batch, for its number of entries and its queue's name."""


def run_in_turn(_size: int, _queue: str) -> AbstractContextManager[StartTask]:
    """Run each task when its result is awaited."""
    return nullcontext(lambda task: task)


def batch_endpoint(
    retry_delay: Callable[[], RetryDelay], *, runner: BatchRunner = run_in_turn
) -> Callable[[EntryHandler], BatchHandler]:
    """Make a handler of batches. It starts the entries with the earliest `submit_before` first.

    An entry that raises is delivered again, after a delay that doubles each time, and ends in the dead-letter queue.
    All other entries are done. A `runner` with threads needs a handler that threads may share.
    """

    def endpoint(handle: EntryHandler) -> BatchHandler:
        def make_task(record: dict[str, Any], context: LambdaContext) -> Task:
            return lambda: handle(json.loads(record["body"]), context)

        @background_endpoint
        @functools.wraps(handle)
        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            failed = []
            records = sorted(event["Records"], key=_read_submit_before)
            with runner(len(records), _find_queue_name(records)) as start:
                entries = [(record, start(make_task(record, context))) for record in records]
                for record, wait in entries:
                    try:
                        wait()
                    except SwitchboardError as error:
                        logger.warning("entry failed", extra=log_fields(error))
                        failed.append(record)
                    except Exception as error:  # noqa: BLE001 - the edge: a poison message must not fail the rest
                        log_unexpected(error)
                        failed.append(record)
            for record in failed:
                _delay_retry(record, retry_delay)
            count(Metric.ENTRIES_FAILED, len(failed))
            return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}

        return handler

    return endpoint


def _delay_retry(record: dict[str, Any], retry_delay: Callable[[], RetryDelay]) -> None:
    """Shorten the wait for the next delivery.

    The queue's own visibility time-out has to outlast whole invocations: too long for a message that a caller awaits.
    """
    try:
        deliveries = int(record["attributes"]["ApproximateReceiveCount"])
        delay_s = min(_MAX_DELAY_S, _FIRST_DELAY_S * 2 ** (deliveries - 1))
        retry_delay().after(delay_s, queue=_find_queue_name([record]), receipt=record["receiptHandle"])
    except SwitchboardError as error:
        logger.warning("entry left to the queue's time-out", extra=log_fields(error))
    except Exception as error:  # noqa: BLE001 - the entries that are done must not come again with this one
        log_unexpected(error)


def _find_queue_name(records: list[dict[str, Any]]) -> str:
    """Return the name of the one queue of a batch."""
    return str(records[0]["eventSourceARN"]).rpartition(":")[2] if records else ""


def _read_submit_before(record: dict[str, Any]) -> str:
    """Return until when the entry is worth handling. An entry without such a time comes last."""
    try:
        entry = json.loads(record["body"])
    except (ValueError, RecursionError):
        return _LAST
    until = entry.get("submit_before") if isinstance(entry, dict) else None
    return until if isinstance(until, str) else _LAST

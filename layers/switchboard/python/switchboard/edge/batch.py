"""Makes a function of one queue entry into a handler of SQS batches that reports exactly the entries that failed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.domain.errors import SwitchboardError
from switchboard.edge.endpoint import log_fields, report_unexpected
from switchboard.edge.observability import logger, metrics
from switchboard.ports.orders import RetryDelay

_LAST = "~"
_FIRST_DELAY_S = 15
_LONGEST_DELAY_S = 900

EntryHandler = Callable[[dict[str, Any], LambdaContext], None]
BatchHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]
Task = Callable[[], None]
# For a batch of so many entries of the queue of that name: what starts one, and gives back what waits for its end.
BatchRunner = Callable[[int, str], AbstractContextManager[Callable[[Task], Task]]]


def one_by_one(_size: int, _queue: str) -> AbstractContextManager[Callable[[Task], Task]]:
    """Each entry once it is waited for."""
    return nullcontext(lambda task: task)


def batch_endpoint(
    retry_delay: Callable[[], RetryDelay], *, runner: BatchRunner = one_by_one
) -> Callable[[EntryHandler], BatchHandler]:
    """An entry that raises is delivered again, after a while that doubles each time, in the end to the dead-letter
    queue; the others are done. Those whose `submit_before` comes first are begun first.

    A runner with threads needs a handler that is made for that.
    """

    def endpoint(handle: EntryHandler) -> BatchHandler:
        def task_of(record: dict[str, Any], context: LambdaContext) -> Task:
            return lambda: handle(json.loads(record["body"]), context)

        @functools.wraps(handle)
        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            failed = []
            records = sorted(event["Records"], key=_submit_before)
            with runner(len(records), _queue_of(records)) as start:
                entries = [(record, start(task_of(record, context))) for record in records]
                for record, wait in entries:
                    try:
                        wait()
                    except SwitchboardError as error:
                        logger.warning("entry failed", extra=log_fields(error))
                        failed.append(record)
                    except Exception as error:  # noqa: BLE001 - the edge: one poisonous entry must not fail the rest
                        report_unexpected(error)
                        failed.append(record)
            for record in failed:
                _deliver_again(record, retry_delay)
            metrics.add_metric(name="EntriesFailed", unit=MetricUnit.Count, value=len(failed))
            return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}

        return handler

    return endpoint


def _deliver_again(record: dict[str, Any], retry_delay: Callable[[], RetryDelay]) -> None:
    """The queue's own time-out has to outlast whole invocations: too long for a message that somebody waits for."""
    deliveries = int(record["attributes"]["ApproximateReceiveCount"])
    delay_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** (deliveries - 1))
    try:
        retry_delay().after(delay_s, queue=_queue_of([record]), receipt=record["receiptHandle"])
    except SwitchboardError as error:
        logger.warning("entry left to the queue's time-out", extra=log_fields(error))


def _queue_of(records: list[dict[str, Any]]) -> str:
    """All entries of one batch are from one queue."""
    return str(records[0]["eventSourceARN"]).rpartition(":")[2] if records else ""


def _submit_before(record: dict[str, Any]) -> str:
    """How long the entry is worth being handled; one that does not tell comes last."""
    try:
        entry = json.loads(record["body"])
    except (ValueError, RecursionError):
        return _LAST
    until = entry.get("submit_before") if isinstance(entry, dict) else None
    return until if isinstance(until, str) else _LAST

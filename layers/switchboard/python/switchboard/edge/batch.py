"""Makes a function of one queue entry into a handler of SQS batches that reports exactly the entries that failed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.domain.errors import SwitchboardError
from switchboard.edge.endpoint import report_unexpected, told
from switchboard.edge.observability import logger, metrics

EntryHandler = Callable[[dict[str, Any], LambdaContext], None]
BatchHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]
Task = Callable[[], None]
# For a batch of so many entries: what starts one of them, and gives back what waits for its end.
BatchRunner = Callable[[int], AbstractContextManager[Callable[[Task], Task]]]

_ONE_AT_A_TIME: Final = Lock()


def one_by_one(_size: int) -> AbstractContextManager[Callable[[Task], Task]]:
    """Each entry once it is waited for."""
    return nullcontext(lambda task: task)


def count(name: str) -> None:
    """One more of that metric. Entries may be handled by threads, and metrics are not made for that."""
    with _ONE_AT_A_TIME:
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)


def batch_endpoint_by(runner: BatchRunner) -> Callable[[EntryHandler], BatchHandler]:
    """A `batch_endpoint` whose entries `runner` starts, such as threads that handle several at once."""
    return functools.partial(batch_endpoint, runner=runner)


def batch_endpoint(handle: EntryHandler, *, runner: BatchRunner = one_by_one) -> BatchHandler:
    """An entry that raises is delivered again, in the end to the dead-letter queue; the others are done."""

    def task_of(record: dict[str, Any], context: LambdaContext) -> Task:
        return lambda: handle(json.loads(record["body"]), context)

    @functools.wraps(handle)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        failed = []
        records = event["Records"]
        with runner(len(records)) as start:
            entries = [(record["messageId"], start(task_of(record, context))) for record in records]
            for message_id, wait in entries:
                try:
                    wait()
                except SwitchboardError as error:
                    logger.warning("entry failed", extra=told(error))
                    failed.append(message_id)
                except Exception as error:  # noqa: BLE001 - the edge: one poisonous entry must not fail the rest
                    report_unexpected(error)
                    failed.append(message_id)
        metrics.add_metric(name="EntriesFailed", unit=MetricUnit.Count, value=len(failed))
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return handler

"""Makes a function of one queue entry into a handler of SQS batches that reports exactly the entries that failed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.domain.errors import SwitchboardError
from switchboard.edge.endpoint import report_unexpected, told
from switchboard.edge.observability import logger, metrics

EntryHandler = Callable[[dict[str, Any], LambdaContext], None]
BatchHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def batch_endpoint(handle: EntryHandler) -> BatchHandler:
    """An entry that raises is delivered again, in the end to the dead-letter queue; the others are done."""

    @functools.wraps(handle)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        failed = []
        for record in event["Records"]:
            try:
                handle(json.loads(record["body"]), context)
            except SwitchboardError as error:
                logger.warning("entry failed", extra=told(error))
                failed.append(record["messageId"])
            except Exception as error:  # noqa: BLE001 - the edge: one poisonous entry must not fail the rest
                report_unexpected(error)
                failed.append(record["messageId"])
        metrics.add_metric(name="EntriesFailed", unit=MetricUnit.Count, value=len(failed))
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return handler

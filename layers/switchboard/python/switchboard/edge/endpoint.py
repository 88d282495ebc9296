"""Makes a function of a request into a Lambda handler: reads the event, turns errors into problems, never fails."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.domain.errors import (
    ClientLimitError,
    DailyLimitError,
    LockedOutError,
    RecipientLimitError,
    StoreError,
    SubmissionFailedError,
    SwitchboardError,
)
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics
from switchboard.edge.problems import UNEXPECTED, problem_reply, reply_to

Endpoint = Callable[[InboundRequest, LambdaContext], Reply]
Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

_LIMIT_METRICS: dict[type[SwitchboardError], str] = {
    RecipientLimitError: "RecipientLimitReached",
    ClientLimitError: "ClientLimitReached",
    DailyLimitError: "DailyLimitReached",
}


def http_endpoint(endpoint: Endpoint) -> Handler:
    """The edge: below it errors are raised, above it there are only replies."""

    @functools.wraps(endpoint)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        try:
            reply = endpoint(InboundRequest.from_event(event), context)
        except SwitchboardError as error:
            reply = reply_to(error)
            logger.info("refused", status=int(reply.status), extra=log_fields(error))
            metrics.add_metric(name="RequestsRefused", unit=MetricUnit.Count, value=1)
            count_limit(error)
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the caller gets an answer
            reply = problem_reply(UNEXPECTED, headers={}, named={}, detail="It has been logged.")
            report_unexpected(error)
        if reply.status == HTTPStatus.BAD_GATEWAY:
            metrics.add_metric(name="ProviderConfigurationRefused", unit=MetricUnit.Count, value=1)
        elif reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            metrics.add_metric(name="RequestsFailed", unit=MetricUnit.Count, value=1)
        return reply.to_event()

    return handler


def count_limit(error: SwitchboardError) -> None:
    """An abuse limit that was reached has a metric of its own, also where only a part of the request was refused."""
    if limit := _LIMIT_METRICS.get(type(_cause(error))):
        metrics.add_metric(name=limit, unit=MetricUnit.Count, value=1)


def log_fields(error: SwitchboardError) -> dict[str, str]:
    """What a log may say of an error: its class and, of a store's, the operation and AWS's own code."""
    cause = _cause(error)
    named = {"error": type(cause).__name__}
    return named | {"reason": str(cause)} if isinstance(cause, StoreError | LockedOutError) else named


def _cause(error: SwitchboardError) -> SwitchboardError:
    return error.cause if isinstance(error, SubmissionFailedError) else error


def report_unexpected(error: Exception) -> None:
    """Logs what kind of error it was and where, not its text: that may hold what a caller sent."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{frame.name}:{frame.lineno}" for frame in frames]
    logger.error("unexpected error", error=type(error).__name__, where=where)

"""Makes Lambda handlers of functions from request to reply: reads the event and answers every error with a problem."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.domain.errors import (
    ClientLimitError,
    DailyLimitError,
    LockedOutError,
    RecipientLimitError,
    RecipientSuppressedError,
    StoreError,
    SubmissionFailedError,
    SwitchboardError,
    WebhookForbiddenError,
    WrongCodeLimitError,
)
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, end_imports, logger, metrics
from switchboard.edge.problems import UNEXPECTED, problem_reply, reply_to

if TYPE_CHECKING:
    # Only for types: webhooks have no API key and need not load it.
    from switchboard.domain.api_keys import ApiKey, Scope

Endpoint = Callable[[InboundRequest, LambdaContext], Reply]
Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

_LIMIT_METRICS: Final[dict[type[SwitchboardError], Metric]] = {
    RecipientLimitError: Metric.RECIPIENT_LIMIT_REACHED,
    RecipientSuppressedError: Metric.RECIPIENT_SUPPRESSED,
    WrongCodeLimitError: Metric.WRONG_CODE_LIMIT_REACHED,
    ClientLimitError: Metric.CLIENT_LIMIT_REACHED,
    DailyLimitError: Metric.DAILY_LIMIT_REACHED,
}


def http_endpoint(endpoint: Endpoint) -> Handler:
    """Make a handler that answers every error: below it errors are raised, above it there are only replies."""
    end_imports()

    @functools.wraps(endpoint)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        try:
            request = InboundRequest.from_event(event)
            # Every log line of this invocation tells who sent the request.
            logger.append_keys(api_key_id=request.api_key_id, source_ip=request.source_ip)
            reply = endpoint(request, context)
        except SwitchboardError as error:
            reply = reply_to(error)
            logger.info("refused", status=int(reply.status), extra=log_fields(error))
            count(Metric.REQUESTS_REFUSED)
            count_limit(error)
        except Exception as error:  # noqa: BLE001 - the edge: the caller gets an answer to every error
            reply = problem_reply(UNEXPECTED, headers={}, members={})
            log_unexpected(error)
        if reply.status == HTTPStatus.BAD_GATEWAY:
            count(Metric.PROVIDER_CONFIGURATION_REFUSED)
        elif reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            count(Metric.REQUESTS_FAILED)
        return reply.to_event()

    return handler


def client_endpoint(
    keys: Callable[[], Callable[[str], ApiKey]], *, scope: Scope | Callable[[InboundRequest], Scope | None]
) -> Callable[[Endpoint], Handler]:
    """Make the handlers of a client's route. Nothing but the API key is read before its scope is checked.

    The container's API keys are built here, in the init phase, without a read.

    Args:
        keys: returns the container's API keys, which find a key by its id.
        scope: the scope of the route, or a function that returns the scope of the requested resource. Every live key
            may request a resource without a scope.
    """
    find_key = keys()

    def make_handler(endpoint: Endpoint) -> Handler:
        @functools.wraps(endpoint)
        def authorise(request: InboundRequest, context: LambdaContext) -> Reply:
            api_key = find_key(request.require_key_id())
            api_key.require(scope(request) if callable(scope) else scope)
            if api_key.test:
                metrics.add_dimension(name="test", value="true")
            return endpoint(replace(request, api_key=api_key), context)

        return http_endpoint(authorise)

    return make_handler


def count_limit(error: SwitchboardError) -> None:
    """Count a usage limit that was reached, or a suppression, even if only a part of the request was refused."""
    if metric := _LIMIT_METRICS.get(type(_cause_of(error))):
        count(metric)


def log_fields(error: SwitchboardError) -> dict[str, str]:
    """Return what a log may hold of an error: its class and, of a store's error, the operation and AWS's own code."""
    cause = _cause_of(error)
    fields = {"error": type(cause).__name__}
    if isinstance(cause, WebhookForbiddenError):
        return fields | {"reason": cause.reason}
    return fields | {"reason": str(cause)} if isinstance(cause, StoreError | LockedOutError) else fields


def log_unexpected(error: Exception) -> None:
    """Log the kind and the place of an error, not its text: that may hold what a caller sent."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{frame.name}:{frame.lineno}" for frame in frames]
    logger.error("unexpected error", error=type(error).__name__, where=where)


def _cause_of(error: SwitchboardError) -> SwitchboardError:
    return error.cause if isinstance(error, SubmissionFailedError) else error

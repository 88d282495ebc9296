"""Makes handlers of schedules and queues. An error ends the invocation, and no log shows the error's text."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.domain.errors import SwitchboardError
from switchboard.edge.endpoint import log_unexpected
from switchboard.edge.observability import end_imports

R = TypeVar("R")


def background_endpoint(
    run: Callable[[dict[str, Any], LambdaContext], R],
) -> Callable[[dict[str, Any], LambdaContext], R]:
    """Make a handler that fails without the text of an unexpected error: Lambda would write it into the log.

    The text may hold a stored number or a sender's text. Our own errors say only what was done and AWS's code.
    """
    end_imports()

    @functools.wraps(run)
    def handler(event: dict[str, Any], context: LambdaContext) -> R:
        try:
            return run(event, context)
        except SwitchboardError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: Lambda would log its text
            log_unexpected(error)
            raise RuntimeError(f"unexpected error: {type(error).__name__}") from None

    return handler

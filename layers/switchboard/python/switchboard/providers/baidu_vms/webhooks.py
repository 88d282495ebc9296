"""Parse the callbacks of Baidu VMS. This module imports nothing that a webhook's cold start does not need."""

from __future__ import annotations

from typing import Final

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.voice_calls import is_call_id
from switchboard.ports.callbacks import CallbackParams

MAX_RESULT_LENGTH: Final = 64
"""The most characters of a result."""


def parse_call_result(
    params: CallbackParams, *, call_id_name: str | tuple[str, ...], result_name: str | tuple[str, ...]
) -> CallResult:
    """Parse the result in one callback.

    The document mentions a callback address, and says nothing of the callback's parameters. So their names are
    configuration: one name or several alternatives, of which the first that has a value counts. These names decide.

    Raises:
        WebhookUnreadableError: the call id or the result is missing, malformed or ambiguous. The error quotes no value.
    """
    call_id = _find_value(params, call_id_name)
    if not is_call_id(call_id):
        raise WebhookUnreadableError("a call result's call id is missing or is not 1 to 128 visible ASCII characters")
    result = " ".join(_find_value(params, result_name).split())
    if not result or len(result) > MAX_RESULT_LENGTH or not result.isprintable():
        raise WebhookUnreadableError("a call result's result is missing, too long or unprintable")
    return CallResult(call_id=call_id, result=result)


def _find_value(params: CallbackParams, names: str | tuple[str, ...]) -> str:
    """Return the value of the first name that has one, or an empty text if no name has one."""
    values = (params.find_only(name) for name in ((names,) if isinstance(names, str) else names))
    return next(filter(None, values), "")

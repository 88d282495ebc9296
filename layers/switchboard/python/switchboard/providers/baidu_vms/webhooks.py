"""Parse the callbacks of Baidu VMS. This module imports nothing that a webhook's cold start does not need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.voice_calls import CallResult, is_call_id

MAX_RESULT_LENGTH: Final = 64
"""The most characters of a result."""


def parse_call_result(
    params: Mapping[str, str], *, call_id_name: str | tuple[str, ...], result_name: str | tuple[str, ...]
) -> CallResult:
    """Parse the result in one callback, with parameter names in any case.

    The document mentions a callback address, and says nothing of the callback's parameters. So their names are
    configuration: one name or several alternatives, of which the first that has a value counts.

    Raises:
        WebhookUnreadableError: the call id or the result is missing or malformed. The error quotes no value or name.
    """
    call_id = _find_value(params, call_id_name, of="call id")
    if not is_call_id(call_id):
        raise WebhookUnreadableError("a call result's call id is missing or is not 1 to 128 visible ASCII characters")
    result = " ".join(_find_value(params, result_name, of="result").split())
    if not result or len(result) > MAX_RESULT_LENGTH or not result.isprintable():
        raise WebhookUnreadableError("a call result's result is missing, too long or unprintable")
    return CallResult(call_id=call_id, result=result)


def _find_value(params: Mapping[str, str], names: str | tuple[str, ...], *, of: str) -> str:
    """Return the value without surrounding white space, or an empty text if no name has one."""
    for name in (names,) if isinstance(names, str) else names:
        values = {value.strip() for key, value in params.items() if key.strip().casefold() == name.casefold()} - {""}
        if len(values) > 1:
            raise WebhookUnreadableError(f"a call result has two different values of its {of}")
        if values:
            return values.pop()
    return ""

"""Reads what Baidu VMS pushes to us. Imports nothing that a webhook's cold start does not need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.voice_calls import CallResult, is_call_id

MAX_RESULT_LENGTH: Final = 64
"""Characters of a result; what is longer is none."""


def parse_call_result(
    params: Mapping[str, str], *, call_id_name: str | tuple[str, ...], result_name: str | tuple[str, ...]
) -> CallResult:
    """The result in one callback. The document mentions a callback address and nothing of what is sent there: so the
    parameters' names are configuration, each one name or several alternatives, the first that has a value counts.

    Names are read in any case. Raises WebhookUnreadableError, which quotes neither a value nor a name.
    """
    call_id = _value(params, call_id_name, what="call id")
    if not is_call_id(call_id):
        raise WebhookUnreadableError("a call result's call id is missing or is not 1 to 128 visible ASCII characters")
    result = " ".join(_value(params, result_name, what="result").split())
    if not result or len(result) > MAX_RESULT_LENGTH or not result.isprintable():
        raise WebhookUnreadableError("a call result's result is missing, too long or unprintable")
    return CallResult(call_id=call_id, result=result)


def _value(params: Mapping[str, str], names: str | tuple[str, ...], *, what: str) -> str:
    """The value without surrounding white space; empty where no name has one."""
    for name in (names,) if isinstance(names, str) else names:
        values = {value.strip() for key, value in params.items() if key.strip().casefold() == name.casefold()} - {""}
        if len(values) > 1:
            raise WebhookUnreadableError(f"a call result gives its {what} twice, and differently")
        if values:
            return values.pop()
    return ""

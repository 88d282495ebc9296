"""Retry idempotent store calls once after StoreUnavailableError."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from switchboard.domain.errors import StoreUnavailableError

S = TypeVar("S")

SUBMISSION: Final = ("bind_key", "create", "claim", "is_suppressed", "get", "record_outcome")
"""The methods of an order store that a caller's request and the queue retry."""

ACCEPTANCE: Final = ("bind_key", "is_suppressed", "get")
"""The methods of an order store that are retried to accept a message for a queue. AcceptForQueue repeats `create`
itself: a message without a claim is recognised by its time."""

CHANNELS: Final = (
    "get",
    "claim_resend",
    "claim_fallback",
    "record_outcome",
    "record_unsent_resend",
    "record_refused_call",
)
"""The methods of a channel store that a resend and a fallback retry."""


RECONCILIATION: Final = ("record_timeout", "record_closed", "postpone")
"""The methods of an order store that the sweep retries."""

CODE_CHECK: Final = ("get", "record_right_code")
"""The methods of a verification store that the check of a code retries. A repeated `record_wrong_code` may count
twice."""

CANCELLATION: Final = ("get", "record_canceled", "release_line")
"""The methods of a verification store that a cancellation retries."""

SMS_CANCELLATION: Final = ("get", "record_canceled")
"""The methods of a message store that a cancellation retries."""

INQUIRIES: Final = ("get", "record_asked", "record_not_found", "record_report")
"""The methods of a message store that planning an inquiry and recording its answer retry."""

SUPPRESSIONS: Final = ("put", "get")
"""The methods of a suppression store that are retried. A repeated `remove` would find nothing to remove."""

IVR_CALLS: Final = ("lease", "record_call")
"""The methods of a store of IVR calls that matching a call with its verification retries."""

CALL_IDS: Final = ("token_of",)
"""The method of a voice call store that finds a call by the provider's id."""

CALL_RESULTS: Final = ("record_result",)
"""The method of a store of call results that the webhook and the sweep retry."""

REPLAYED_REPORTS: Final = ("record_report",)
"""The method of a report store that the sweep retries. The webhook spools its report after one failure."""

REPLAYED_CODES: Final = ("record_code",)
"""The method of a code store that the sweep retries. The webhook spools its code after one failure."""

RAW_CALLBACKS: Final = ("quarantine",)
"""The method of a callback archive that keeps every raw callback of Baidu VMS."""

USAGE: Final = ("reserve",)
"""The method of usage limits that is retried. A repeated `refund` may refund twice."""

WRONG_CODES: Final = ("require_below",)
"""The method of the limit of wrong codes that is retried. A repeated `count` may count twice."""

GUARD: Final = ("record_result",)
"""The method of a provider guard that is retried."""


class _RetryingStore:
    """A store whose idempotent methods are called a second time if the first call gets no answer."""

    def __init__(self, store: object, methods: tuple[str, ...]) -> None:
        self._store = store
        for name in methods:
            setattr(self, name, _retry_once(getattr(store, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def retrying(store: S, *methods: str) -> S:
    """Wrap `store` so that the named methods are retried once after StoreUnavailableError.

    Every named method must be harmless when repeated with the same arguments. All other methods stay as they are.

    Raises:
        AttributeError: the store has no method with one of these names.
    """
    return cast("S", _RetryingStore(store, methods))


def _retry_once(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def retry(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except StoreUnavailableError:
            return call(*args, **kwargs)

    return retry

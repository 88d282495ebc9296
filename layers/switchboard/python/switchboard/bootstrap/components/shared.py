"""Holds what every application needs: the clock and new ids; and the magic numbers of those that submit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from switchboard.clock import SystemClock

if TYPE_CHECKING:
    from switchboard.ports.magic_numbers import MagicNumbers

CLOCK: Final = SystemClock()

new_id: Final[Callable[[], str]] = partial(token_hex, 16)
"""Makes 32 random hexadecimal digits."""


def build_magic_numbers(queue_url: str) -> MagicNumbers:
    """Build what answers test orders, whose events go through the outbox queue."""
    # Only test orders load this.
    from switchboard.providers.magic_numbers import MagicNumberTable  # noqa: PLC0415
    from switchboard.storage import aws  # noqa: PLC0415
    from switchboard.storage.queues import SqsScriptQueue  # noqa: PLC0415

    return MagicNumberTable(queue=SqsScriptQueue(client=aws.sqs, queue_url=queue_url), clock=CLOCK)

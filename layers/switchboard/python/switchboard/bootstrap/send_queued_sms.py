"""The application of `functions/send_queued_sms`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.messages import message_store, outbox
from switchboard.bootstrap.parts import CLOCK
from switchboard.bootstrap.sender import new_id, submission
from switchboard.config import SendQueuedSmsSettings
from switchboard.usecases.send_queued_sms import SendQueuedSms


@cache
def application() -> SendQueuedSms:
    """Built once a container. Raises ConfigurationError."""
    settings = SendQueuedSmsSettings.load()
    messages = message_store(settings)
    return SendQueuedSms(
        messages=messages,
        submission=submission(settings, messages),
        bulk_submission=submission(settings, messages, in_flight_limit=settings.bulk_in_flight_limit),
        outbox=outbox(settings),
        clock=CLOCK,
        new_id=new_id,
        put_back_delay_s=settings.put_back_delay_s,
    )

"""Builds the application of `functions/send_sms`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

from switchboard.bootstrap.components.guards import api_keys, overseas_prefixes, quiet_hours, usage_limits
from switchboard.bootstrap.components.mediasms import build_submission
from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.bootstrap.components.sms import deadlines, message_store, outbox, sms_status
from switchboard.config import SendSmsSettings
from switchboard.domain.sms.delivery import StatusTable
from switchboard.domain.sms.requests import SmsRules
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.retrying import ACCEPTANCE, SUBMISSION, retrying
from switchboard.usecases.sms.accept import AcceptForQueue
from switchboard.usecases.sms.send import SendSms
from switchboard.usecases.submission.submit_once import SubmitOnce

__all__ = ["api_keys", "application"]


@dataclass(frozen=True, slots=True)
class SendSmsApplication:
    """The use cases and rules that the handler needs."""

    rules: SmsRules
    send: SendSms
    statuses: StatusTable


@cache
def application() -> SendSmsApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = SendSmsSettings.load()
    messages = retrying(message_store(settings), *SUBMISSION)
    return SendSmsApplication(
        rules=SmsRules(long_sms=settings.long_sms, overseas_prefixes=overseas_prefixes(settings)),
        send=SendSms(
            submit_once=SubmitOnce(
                orders=messages,
                submission=build_submission(settings, messages),
                limits=usage_limits(settings),
                clock=CLOCK,
                new_id=new_id,
                status_of=sms_status(settings),
                outbox=outbox(settings),
            ),
            accept=cache(partial(build_acceptance, settings)),
            clock=CLOCK,
            new_id=new_id,
            deadlines=deadlines(settings),
        ),
        statuses=DELIVERY_STATUSES,
    )


def build_acceptance(settings: SendSmsSettings) -> AcceptForQueue:
    """Build the acceptance of messages for the queues.

    It has usage limits of its own: their blocks are of the windows in which messages leave, not of the present ones.
    """
    return AcceptForQueue(
        messages=retrying(message_store(settings), *ACCEPTANCE),
        limits=usage_limits(settings),
        outbox=outbox(settings),
        clock=CLOCK,
        quiet_hours=quiet_hours(settings),
    )

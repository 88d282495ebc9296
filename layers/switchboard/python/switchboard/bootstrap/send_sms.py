"""The application of `functions/send_sms`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.limits import abuse_limits, overseas_prefixes
from switchboard.bootstrap.messages import deadlines, message_store, outbox, query, sms_standing
from switchboard.bootstrap.parts import CLOCK
from switchboard.bootstrap.sender import new_id, submission
from switchboard.config import SendSmsSettings
from switchboard.domain.delivery import StatusTable
from switchboard.domain.messages import Message, SmsStanding
from switchboard.domain.sms_requests import SmsRules
from switchboard.providers.mediasms.codes import DELIVERY_STATUSES
from switchboard.usecases.query_orders import QueryOrders
from switchboard.usecases.send_sms import SendSms
from switchboard.usecases.submit_once import SubmitOnce


@dataclass(frozen=True, slots=True)
class SendSmsApplication:
    """What the handler calls."""

    rules: SmsRules
    send: SendSms
    query: QueryOrders[Message, SmsStanding]
    statuses: StatusTable


@cache
def application() -> SendSmsApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = SendSmsSettings.load()
    messages = message_store(settings)
    return SendSmsApplication(
        rules=SmsRules(long_sms=settings.long_sms, overseas_prefixes=overseas_prefixes(settings)),
        send=SendSms(
            submit_once=SubmitOnce(
                orders=messages,
                submission=submission(settings, messages),
                limits=abuse_limits(settings),
                clock=CLOCK,
                new_id=new_id,
                standing_of=sms_standing(settings),
                outbox=outbox(settings),
            ),
            clock=CLOCK,
            new_id=new_id,
            deadlines=deadlines(settings),
        ),
        query=query(settings, messages),
        statuses=DELIVERY_STATUSES,
    )

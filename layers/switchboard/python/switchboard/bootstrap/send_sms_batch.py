"""The application of `functions/send_sms_batch`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Final

from switchboard.bootstrap.components.mediasms import build_submission, new_id
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines, message_store, outbox, sms_status
from switchboard.bootstrap.components.usage_limits import overseas_prefixes, usage_limits
from switchboard.config import SendSmsBatchSettings
from switchboard.domain.sms.requests import SmsRules
from switchboard.storage.retrying import BATCH, retrying
from switchboard.usecases.sms.send_batch import SendSmsBatch

# One message may outlast it by as long as the store may take over it; API Gateway answers in our place after 29 s.
_TIME_BUDGET: Final = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class SendSmsBatchApplication:
    """What the handler calls."""

    rules: SmsRules
    send: SendSmsBatch


@cache
def application() -> SendSmsBatchApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = SendSmsBatchSettings.load()
    messages = message_store(settings)
    return SendSmsBatchApplication(
        rules=SmsRules(long_sms=settings.long_sms, overseas_prefixes=overseas_prefixes(settings)),
        send=SendSmsBatch(
            messages=retrying(messages, *BATCH),
            check=build_submission(settings, messages).prepare,
            limits=usage_limits(settings),
            outbox=outbox(settings),
            clock=CLOCK,
            new_id=new_id,
            deadlines=deadlines(settings),
            status_of=sms_status(settings),
            time_budget=_TIME_BUDGET,
        ),
    )

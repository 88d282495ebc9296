"""Builds the application of `functions/send_sms_batch`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Final

from switchboard.bootstrap.components.guards import api_keys, overseas_prefixes
from switchboard.bootstrap.components.mediasms import build_submission
from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.bootstrap.components.sms import deadlines, message_store, sms_status
from switchboard.bootstrap.send_sms import build_acceptance
from switchboard.config import SendSmsBatchSettings
from switchboard.domain.sms.requests import SmsRules
from switchboard.storage.retrying import ACCEPTANCE, retrying
from switchboard.usecases.sms.send_batch import SendSmsBatch

# The last message may end later, by the time that the store takes for it. API Gateway answers by itself after 29 s.
_TIME_BUDGET: Final = timedelta(seconds=12)

__all__ = ["api_keys", "application"]


@dataclass(frozen=True, slots=True)
class SendSmsBatchApplication:
    """The use cases and rules that the handler needs."""

    rules: SmsRules
    send: SendSmsBatch


@cache
def application() -> SendSmsBatchApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = SendSmsBatchSettings.load()
    messages = message_store(settings)
    return SendSmsBatchApplication(
        rules=SmsRules(long_sms=settings.long_sms, overseas_prefixes=overseas_prefixes(settings)),
        send=SendSmsBatch(
            messages=retrying(messages, *ACCEPTANCE),
            check=build_submission(settings, messages).prepare,
            accept=build_acceptance(settings),
            clock=CLOCK,
            new_id=new_id,
            deadlines=deadlines(settings),
            status_of=sms_status(settings),
            time_budget=_TIME_BUDGET,
        ),
    )

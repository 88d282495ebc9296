"""Builds the application of `functions/cancel_sms`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import message_store, query
from switchboard.config import CancelSmsSettings
from switchboard.domain.sms.delivery import StatusTable
from switchboard.domain.sms.messages import Message, SmsStatus
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.retrying import SMS_CANCELLATION, retrying
from switchboard.usecases.query import QueryOrders
from switchboard.usecases.sms.cancel import CancelSms

__all__ = ["api_keys", "application"]


@dataclass(frozen=True, slots=True)
class CancelSmsApplication:
    """The use cases and rules that the handler needs."""

    cancel: CancelSms
    query: QueryOrders[Message, SmsStatus]
    statuses: StatusTable


@cache
def application() -> CancelSmsApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = CancelSmsSettings.load()
    messages = message_store(settings)
    return CancelSmsApplication(
        cancel=CancelSms(messages=retrying(messages, *SMS_CANCELLATION), clock=CLOCK),
        query=query(settings, messages),
        statuses=DELIVERY_STATUSES,
    )

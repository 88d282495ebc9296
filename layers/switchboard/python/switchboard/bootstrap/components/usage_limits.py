"""Whom this deployment may send to, and how often."""

from __future__ import annotations

import re

from switchboard.config import SendSmsSettings, UsageLimitSettings
from switchboard.domain.errors import ConfigurationError, InvalidRequestError
from switchboard.domain.phone_numbers import parse_phone_number
from switchboard.guard.usage.usage_limits import CounterUsageLimits, UsageLimitRules
from switchboard.storage import aws
from switchboard.storage.limits.counters import DynamoDbCounterStore
from switchboard.storage.retrying import USAGE, retrying

_PREFIX = re.compile(r"\+[1-9][0-9]{0,6}")


def usage_limits(settings: UsageLimitSettings) -> CounterUsageLimits:
    """The limits, counted in the limits table. Raises ConfigurationError for an exempt number that is none."""
    try:
        exempt = frozenset(parse_phone_number(each).e164 for each in settings.exempt_numbers)
    except InvalidRequestError:
        raise ConfigurationError("EXEMPT_NUMBERS: not all of them are telephone numbers") from None
    limits = CounterUsageLimits(
        counters=DynamoDbCounterStore(client=aws.dynamodb(), table=settings.limits_table),
        rules=UsageLimitRules(
            recipient_per_minute=settings.recipient_limit_per_minute,
            recipient_per_hour=settings.recipient_limit_per_hour,
            recipient_per_day=settings.recipient_limit_per_day,
            client_per_hour=settings.client_limit_per_hour,
            per_day=settings.daily_limit,
            exempt=exempt,
        ),
    )
    return retrying(limits, *USAGE)


def overseas_prefixes(settings: SendSmsSettings) -> tuple[str, ...]:
    """The countries outside Japan. Raises ConfigurationError: a prefix without its + would let no number through."""
    if not all(_PREFIX.fullmatch(each) for each in settings.overseas_prefixes):
        raise ConfigurationError("OVERSEAS_PREFIXES: each is + and the digits that numbers begin with")
    return settings.overseas_prefixes

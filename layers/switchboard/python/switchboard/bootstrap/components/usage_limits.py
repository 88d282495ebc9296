"""Builds the limits on how often and to which countries this deployment sends."""

from __future__ import annotations

import re

from switchboard.config import SendSmsSettings, UsageLimitSettings
from switchboard.domain.errors import ConfigurationError, InvalidRequestError
from switchboard.domain.phone_numbers import parse_phone_number
from switchboard.guard.usage.usage_limits import CounterUsageLimits, UsageLimitRules
from switchboard.storage import aws
from switchboard.storage.limits import DynamoDbCounterStore
from switchboard.storage.retrying import USAGE, retrying

_PREFIX = re.compile(r"\+[1-9][0-9]{0,6}")


def usage_limits(settings: UsageLimitSettings) -> CounterUsageLimits:
    """Build the usage limits, whose counters are in the limits table.

    Raises:
        ConfigurationError: an exempt number is no telephone number.
    """
    try:
        exempt = frozenset(parse_phone_number(number).e164 for number in settings.exempt_numbers)
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
    """Read the prefixes of the countries outside Japan. A prefix without its + would allow no number.

    Raises:
        ConfigurationError: a prefix is not + and digits.
    """
    if not all(_PREFIX.fullmatch(prefix) for prefix in settings.overseas_prefixes):
        raise ConfigurationError("OVERSEAS_PREFIXES: each is + and the digits that numbers begin with")
    return settings.overseas_prefixes

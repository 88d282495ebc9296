"""Builds the API keys of clients, and the usage limits of clients and recipients."""

from __future__ import annotations

import re
from functools import cache

from switchboard.config import ApiKeySettings, SendSmsSettings, UsageLimitSettings
from switchboard.domain.api_keys import ClientLimits, Scope
from switchboard.domain.errors import ConfigurationError, InvalidRequestError
from switchboard.domain.phone_numbers import parse_phone_number
from switchboard.guard.usage.usage_limits import CounterUsageLimits, UsageLimitRules
from switchboard.storage import aws
from switchboard.storage.limits.counters import DynamoDbCounterStore
from switchboard.storage.limits.keys import CachedKeys, DynamoDbKeyStore
from switchboard.storage.retrying import USAGE, retrying

_PREFIX = re.compile(r"\+[1-9][0-9]{0,6}")


@cache
def api_keys() -> CachedKeys:
    """Build the API keys once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable, or names no scope.
    """
    settings = ApiKeySettings.load()
    try:
        default_scopes = frozenset(Scope(scope) for scope in settings.default_scopes)
    except ValueError:
        raise ConfigurationError("DEFAULT_SCOPES: not all of them are scopes") from None
    return CachedKeys(
        store=retrying(
            DynamoDbKeyStore(client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.limits_table),
            "get",
        ),
        default_scopes=default_scopes,
        default_limits=ClientLimits(per_hour=settings.client_limit_per_hour, per_day=settings.client_limit_per_day),
    )


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
            per_day=settings.daily_limit,
            exempt=exempt,
        ),
        limits_of=api_keys().limits_of,
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

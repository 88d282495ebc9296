"""Builds the guards: what each provider accepts from one egress address, and the limits of our own use."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Final, Literal

from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.config import ApiKeySettings, SendSmsSettings, UsageLimitSettings
from switchboard.domain.api_keys import ClientLimits, Scope
from switchboard.domain.errors import ConfigurationError, InvalidRequestError
from switchboard.domain.phone_numbers import parse_phone_number
from switchboard.domain.sms.schedule import QuietHours
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.guard.usage.usage_limits import CounterUsageLimits, UsageLimitRules
from switchboard.storage import aws
from switchboard.storage.api_keys import CachedKeys, DynamoDbKeyStore
from switchboard.storage.limits import DynamoDbCounterStore, DynamoDbProviderLimitStore
from switchboard.storage.retrying import USAGE, retrying

LockoutPolicy = Literal["lockout_safe", "full_rate"]

# Neither Baidu nor BIZTEL documents a lock-out. Credentials that were refused twice will be refused again. Three more
# versions of the secret are tried before an operator has to act.
_OPEN_AFTER_401S: Final = 2
_MAX_CONSECUTIVE_401S: Final = 5
# Baidu limits how many calls are requested at the same time, not how often. This rate only spreads a burst.
_BAIDU_REQUESTS_PER_S: Final = 50
# The clocks of Lambda agree within a millisecond, and a thread wakes up a few milliseconds late.
_CLOCKS_WITHIN: Final = timedelta(milliseconds=20)
_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,6}")


def mediasms_guard_settings(
    *, requests_per_s: int, jitter: timedelta, in_flight: int, policy: LockoutPolicy, bulk_in_flight: int | None = None
) -> GuardSettings:
    """Build the limits of MediaSMS: 80 requests a second; ten 401s in a row block the address (document, section 2).

    `full_rate` does not limit the requests in flight, so that more than ten 401s may be under way when the circuit
    opens. Messages of a batch get no permit while `bulk_in_flight` permits are in use. Idle containers keep one permit
    less at the most: otherwise no message of a batch would ever be sent.
    """
    return GuardSettings(
        requests_per_s=requests_per_s,
        jitter=jitter,
        # Permits carry the lateness from container to container.
        least_jitter=_CLOCKS_WITHIN if policy == "lockout_safe" else None,
        in_flight=in_flight if policy == "lockout_safe" else None,
        idle_permits=None if bulk_in_flight is None else min(in_flight // 2, bulk_in_flight - 1),
    )


def biztel_guard_settings(
    *,
    requests_per_s: int,
    in_flight: int = 4,
    jitter: timedelta = timedelta(milliseconds=100),
    backlog_in_flight: int | None = None,
) -> GuardSettings:
    """Build the limits of BIZTEL: 10 requests a second, 1 before version 3.6.0.

    A whole answer may take as long as the first bytes of a download. Recordings of the backlog get no permit while
    `backlog_in_flight` permits are in use. Idle containers keep one permit less at the most.
    """
    return GuardSettings(
        requests_per_s=requests_per_s,
        jitter=jitter,
        least_jitter=_CLOCKS_WITHIN,
        in_flight=in_flight,
        open_after_401s=_OPEN_AFTER_401S,
        max_consecutive_401s=_MAX_CONSECUTIVE_401S,
        idle_permits=None if backlog_in_flight is None else min(in_flight // 2, backlog_in_flight - 1),
    )


def baidu_guard_settings(*, in_flight: int, requests_per_s: int = _BAIDU_REQUESTS_PER_S) -> GuardSettings:
    """Build the limits of Baidu VMS: `in_flight` is the contract's number of calls at the same time.

    QueueFull is a RateLimitedError and halves the present rate.
    """
    return GuardSettings(
        requests_per_s=requests_per_s,
        in_flight=in_flight,
        open_after_401s=min(_OPEN_AFTER_401S, in_flight),
        max_consecutive_401s=_MAX_CONSECUTIVE_401S,
        backoff_step_percent=200,
        max_backoff_percent=5_000,
        backoff_recovery=timedelta(seconds=60),
    )


def provider_guards(
    *,
    provider: str,
    egress_address: str,
    limits_table: str,
    settings: GuardSettings,
    account: aws.CachedSecret,
    store_timeout_s: float = 2.0,
    workers: int = 1,
    answered_at: Callable[[str], datetime | None] | None = None,
) -> ProviderGuards:
    """Build one container's guards over the provider limit that all functions behind this address share.

    `account` is the provider's secret: its version names the credentials. `answered_at` is that of SlotReservations.
    """
    return ProviderGuards(
        store=DynamoDbProviderLimitStore(client=aws.dynamodb(timeout_s=store_timeout_s), table=limits_table),
        key=f"{provider}#{egress_address}",
        new_container_id=new_id,
        settings=settings,
        clock=CLOCK,
        version=lambda: account().version,
        forget_credentials=account.forget,
        workers=workers,
        answered_at=answered_at,
    )


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
        counters=DynamoDbCounterStore(
            client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.limits_table
        ),
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


def quiet_hours(settings: SendSmsSettings) -> QuietHours:
    """Read the deployment's quiet hours.

    Raises:
        ConfigurationError: they are no range of times.
    """
    try:
        return QuietHours.parse(settings.quiet_hours)
    except ValueError:
        raise ConfigurationError("QUIET_HOURS: must be two times of a day, such as 21:00-08:00") from None


def overseas_prefixes(settings: SendSmsSettings) -> tuple[str, ...]:
    """Read the prefixes of the countries outside Japan. A prefix without its + would allow no number.

    Raises:
        ConfigurationError: a prefix is not + and digits.
    """
    if not all(_PREFIX.fullmatch(prefix) for prefix in settings.overseas_prefixes):
        raise ConfigurationError("OVERSEAS_PREFIXES: each is + and the digits that numbers begin with")
    return settings.overseas_prefixes

"""Builds the application of `functions/check_verification`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.bootstrap.components.sms import deadlines
from switchboard.bootstrap.components.verifications import (
    channel_store,
    query_verifications,
    verification_store,
)
from switchboard.config import CheckVerificationSettings
from switchboard.guard.usage.wrong_codes import CounterWrongCodeLimit
from switchboard.storage import aws
from switchboard.storage.limits import DynamoDbCounterStore
from switchboard.storage.retrying import CODE_CHECK, WRONG_CODES, retrying
from switchboard.usecases.verification.channels import QueryVerifications
from switchboard.usecases.verification.check import CheckVerification

__all__ = ["api_keys", "application"]


@dataclass(frozen=True, slots=True)
class CheckVerificationApplication:
    """The use cases and rules that the handler needs."""

    check: CheckVerification
    query: QueryVerifications


@cache
def application() -> CheckVerificationApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = CheckVerificationSettings.load()
    wrong_codes = CounterWrongCodeLimit(
        counters=DynamoDbCounterStore(
            client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.limits_table
        ),
        per_hour=settings.wrong_codes_per_hour,
    )
    return CheckVerificationApplication(
        check=CheckVerification(
            verifications=retrying(verification_store(settings), *CODE_CHECK),
            channels=retrying(channel_store(settings), "get"),
            code_keys=aws.SecretCodeKeys(name=settings.code_secret_name),
            wrong_codes=retrying(wrong_codes, *WRONG_CODES),
            clock=CLOCK,
            new_id=new_id,
            deadlines=deadlines(settings),
        ),
        query=query_verifications(settings),
    )

"""Builds the application of `functions/cancel_verification`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines
from switchboard.bootstrap.components.verifications import query_verifications, verification_store
from switchboard.config import CancelVerificationSettings
from switchboard.storage.retrying import CANCELLATION, retrying
from switchboard.usecases.verification.cancel import CancelVerification
from switchboard.usecases.verification.channels import QueryVerifications

__all__ = ["api_keys", "application"]


@dataclass(frozen=True, slots=True)
class CancelVerificationApplication:
    """The use cases that the handler needs."""

    cancel: CancelVerification
    query: QueryVerifications


@cache
def application() -> CancelVerificationApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = CancelVerificationSettings.load()
    return CancelVerificationApplication(
        cancel=CancelVerification(
            verifications=retrying(verification_store(settings), *CANCELLATION),
            clock=CLOCK,
            deadlines=deadlines(settings),
        ),
        query=query_verifications(settings),
    )

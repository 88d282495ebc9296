"""The application of `functions/check_verification`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.messages import deadlines
from switchboard.bootstrap.parts import CLOCK
from switchboard.bootstrap.verifications import query_verifications, verification_store
from switchboard.config import CheckVerificationSettings
from switchboard.domain.orders import Standing
from switchboard.domain.verifications import Verification, VerificationState
from switchboard.usecases.check_verification import CheckVerification
from switchboard.usecases.query_orders import QueryOrders


@dataclass(frozen=True, slots=True)
class CheckVerificationApplication:
    """What the handler calls."""

    check: CheckVerification
    query: QueryOrders[Verification, Standing[VerificationState]]


@cache
def application() -> CheckVerificationApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = CheckVerificationSettings.load()
    return CheckVerificationApplication(
        check=CheckVerification(verifications=verification_store(settings), clock=CLOCK, deadlines=deadlines(settings)),
        query=query_verifications(settings),
    )

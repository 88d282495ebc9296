"""The application of `functions/sweep_overdue`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.messages import deadlines, message_store, outbox
from switchboard.bootstrap.parts import CLOCK
from switchboard.config import SweepOverdueSettings
from switchboard.providers.mediasms.codes import DELIVERY_STATUSES
from switchboard.storage import aws
from switchboard.storage.vault import S3CallbackVault
from switchboard.usecases.sweep_overdue import SweepOverdue


@cache
def application() -> SweepOverdue:
    """Built once a container. Raises ConfigurationError."""
    settings = SweepOverdueSettings.load()
    return SweepOverdue(
        messages=message_store(settings),
        vault=S3CallbackVault(client=aws.s3, bucket=settings.quarantine_bucket),
        outbox=outbox(settings.outbox_queue_url),
        clock=CLOCK,
        statuses=DELIVERY_STATUSES,
        deadlines=deadlines(settings),
    )

"""Builds the application of `functions/biztel_call_action_webhook`."""

from __future__ import annotations

from functools import cache, partial
from typing import Final

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import BiztelCallActionWebhookSettings
from switchboard.domain.recording.facts import RecordingReady
from switchboard.edge.call_action_replies import accepted_reply, refused_reply
from switchboard.edge.metrics import CALL_ACTION_OUTCOMES
from switchboard.edge.webhook_endpoint import Quarantine, WebhookAuthentication, WebhookEndpoint
from switchboard.ports.recordings import JobOutcome
from switchboard.providers.biztel.webhooks import parse_call_action
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.recording.jobs import S3JobStore

# Two tries of this, and two of the usual 2 s for the tokens, end before BIZTEL's own 10 s. A report of a known id takes
# up to four calls. They end in time too, unless most of them need their second try.
_STORE_TIMEOUT_S: Final = 1.5


@cache
def application() -> WebhookEndpoint[RecordingReady]:
    """Build the webhook once a container. It stores a call action as a job, or quarantines and refuses it.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = BiztelCallActionWebhookSettings.load()
    s3 = partial(aws.s3, timeout_s=_STORE_TIMEOUT_S)
    jobs = S3JobStore(client=s3, bucket=settings.jobs_bucket)
    archive = S3CallbackArchive(client=s3, bucket=settings.quarantine_bucket)
    return WebhookEndpoint(
        subject="call action",
        authentication=WebhookAuthentication(
            secret=aws.webhook_tokens(settings.webhook_tokens_secret_name),
            source_ranges=settings.webhook_source_ranges,
        ),
        parse=parse_call_action,
        record=lambda ready: jobs.put(ready, at=CLOCK.now()),
        # Without log fields: only BIZTEL knows if an id is a recording's. FetchRecording logs it with its first file.
        outcome_metrics=CALL_ACTION_OUTCOMES,
        reply=accepted_reply(),
        quarantine=Quarantine(
            archive=archive, clock=CLOCK, route="biztel_call_action", outcomes=frozenset({JobOutcome.TOO_MANY})
        ),
        refuse=refused_reply,
    )

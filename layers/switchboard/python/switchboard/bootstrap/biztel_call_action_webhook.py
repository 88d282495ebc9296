"""The application of `functions/biztel_call_action_webhook`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from switchboard.bootstrap.components.shared import CLOCK, secret
from switchboard.config import BiztelCallActionWebhookSettings
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.edge.http import InboundRequest
from switchboard.edge.webhooks import authenticate, read_params
from switchboard.providers.biztel.webhooks import parse_call_action
from switchboard.storage import aws
from switchboard.storage.recording.jobs import S3JobStore
from switchboard.usecases.recording.accept import AcceptRecording

# Two tries of this, and two of the usual 2 s for the tokens, end before BIZTEL's own 10 s.
_STORE_TIMEOUT_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class ReceivedCallAction:
    """One call action's fate, for the log line and the metric. `problem` says why it cannot be a job."""

    recording_id: str | None = None
    new: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CallActionApplication:
    """What the handler calls."""

    live_tokens: Callable[[], object]
    accept: AcceptRecording

    def authenticate(self, request: InboundRequest) -> None:
        """Raises WebhookForbiddenError."""
        authenticate(request, live_tokens=self.live_tokens)

    def receive(self, request: InboundRequest) -> ReceivedCallAction:
        """Returns once the job is durable, or where it can never be one. Raises StoreUnavailableError."""
        try:
            notice = parse_call_action(read_params(request))
        except WebhookUnreadableError as error:
            return ReceivedCallAction(problem=str(error))
        return ReceivedCallAction(recording_id=notice.recording_id, new=self.accept(notice))


@cache
def application() -> CallActionApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = BiztelCallActionWebhookSettings.load()
    tokens = secret(settings.webhook_tokens_secret_name)
    jobs = S3JobStore(client=lambda: aws.s3(timeout_s=_STORE_TIMEOUT_S), bucket=settings.jobs_bucket)
    return CallActionApplication(
        live_tokens=lambda: tokens().values.get("tokens"),
        accept=AcceptRecording(jobs=jobs, clock=CLOCK),
    )

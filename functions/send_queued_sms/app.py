"""Outbox and bulk queues: submit a message, ask for its result, call instead, or play a test order's event.

An entry ends once that is durable.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_queued_sms import QueueOutcome, application, retry_delay
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.usecases.sms.inquire import InquiryOutcome
from switchboard.usecases.sms.send_queued import QueuedOutcome, QueueEntry
from switchboard.usecases.verification.fall_back import FallbackOutcome

app = application()

OUTCOME_METRICS: dict[QueueOutcome, Metric] = {
    QueuedOutcome.ACCEPTED: Metric.SMS_ACCEPTED,
    QueuedOutcome.REJECTED: Metric.SMS_REJECTED,
    QueuedOutcome.UNKNOWN: Metric.SMS_UNKNOWN,
    QueuedOutcome.REQUEUED: Metric.SMS_REQUEUED,
    QueuedOutcome.ACCOUNT_REJECTED: Metric.PROVIDER_CONFIGURATION_REFUSED,
    QueuedOutcome.SUPPRESSED: Metric.RECIPIENT_SUPPRESSED,
    QueuedOutcome.NOTHING_TO_DO: Metric.SMS_ALREADY_DECIDED,
    FallbackOutcome.CALLED: Metric.FALLBACK_CALLS_PLACED,
    FallbackOutcome.REJECTED: Metric.FALLBACK_CALLS_FAILED,
    FallbackOutcome.UNKNOWN: Metric.FALLBACK_CALLS_FAILED,
    InquiryOutcome.ACCOUNT_REJECTED: Metric.PROVIDER_CONFIGURATION_REFUSED,
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@batch_endpoint(retry_delay, runner=lambda size, queue: app.run_batch(size, queue=queue))
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    """Handle one entry of a queue."""
    options = {name: entry[name] for name in ("inquiry", "fallback", "scripted") if name in entry}
    queue_entry = QueueEntry(smsid=entry["smsid"], **options)
    outcome = app(queue_entry)
    logger.info(queue_entry.subject, smsid=queue_entry.smsid, outcome=outcome)
    if outcome in OUTCOME_METRICS:
        count(OUTCOME_METRICS[outcome])

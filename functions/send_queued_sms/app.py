"""Outbox and bulk queues: submit each waiting message, or ask for its result. An entry ends once that is durable."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_queued_sms import application, retry_delay
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.usecases.sms.inquire import InquiryOutcome
from switchboard.usecases.sms.send_queued import QueuedOutcome, QueueEntry

app = application()

OUTCOME_METRICS: dict[QueuedOutcome | InquiryOutcome, Metric] = {
    QueuedOutcome.ACCEPTED: Metric.SMS_ACCEPTED,
    QueuedOutcome.REJECTED: Metric.SMS_REJECTED,
    QueuedOutcome.UNKNOWN: Metric.SMS_UNKNOWN,
    QueuedOutcome.REQUEUED: Metric.SMS_REQUEUED,
    QueuedOutcome.ACCOUNT_REJECTED: Metric.PROVIDER_CONFIGURATION_REFUSED,
    QueuedOutcome.SUPPRESSED: Metric.RECIPIENT_SUPPRESSED,
    QueuedOutcome.NOTHING_TO_DO: Metric.SMS_ALREADY_DECIDED,
    InquiryOutcome.ACCOUNT_REJECTED: Metric.PROVIDER_CONFIGURATION_REFUSED,
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@batch_endpoint(retry_delay, runner=lambda size, queue: app.run_batch(size, queue=queue))
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    """Handle one entry of a queue."""
    queue_entry = QueueEntry(smsid=entry["smsid"], inquiry=entry.get("inquiry", False))
    outcome = app(queue_entry)
    logger.info("inquiry" if queue_entry.inquiry else "queued sms", smsid=queue_entry.smsid, outcome=outcome)
    if outcome in OUTCOME_METRICS:
        count(OUTCOME_METRICS[outcome])

"""Outbox and bulk queues: submit each waiting message. An entry ends once its effect is durable."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_queued_sms import application, retry_delay
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.usecases.sms.send_queued import QueuedOutcome

OUTCOME_METRICS = {
    QueuedOutcome.ACCEPTED: Metric.SMS_ACCEPTED,
    QueuedOutcome.REJECTED: Metric.SMS_REJECTED,
    QueuedOutcome.UNKNOWN: Metric.SMS_UNKNOWN,
    QueuedOutcome.REQUEUED: Metric.SMS_REQUEUED,
    QueuedOutcome.ACCOUNT_REJECTED: Metric.PROVIDER_CONFIGURATION_REFUSED,
    QueuedOutcome.NOTHING_TO_DO: Metric.SMS_ALREADY_DECIDED,
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@batch_endpoint(retry_delay, runner=lambda size, queue: application().run_batch(size, queue=queue))
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    """Handle one entry of a queue."""
    outcome = application()(entry["smsid"])
    logger.info("queued sms", smsid=entry["smsid"], outcome=outcome)
    count(OUTCOME_METRICS[outcome])

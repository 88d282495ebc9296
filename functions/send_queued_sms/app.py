"""Outbox queue: submit each message that is waiting; an entry is done once its effect is durable."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_queued_sms import application, retry_delay
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.observability import count, logger, metrics
from switchboard.usecases.sms.send_queued import QueuedOutcome

METRICS = {
    QueuedOutcome.ACCEPTED: "SmsAccepted",
    QueuedOutcome.REJECTED: "SmsRejected",
    QueuedOutcome.UNKNOWN: "SmsUnknown",
    QueuedOutcome.REQUEUED: "SmsRequeued",
    QueuedOutcome.ACCOUNT_REJECTED: "ProviderConfigurationRefused",
    QueuedOutcome.NOTHING_TO_DO: "SmsAlreadyDecided",
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@batch_endpoint(retry_delay, runner=lambda size, queue: application().side_by_side(size, queue=queue))
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    outcome = application()(entry["smsid"])
    logger.info("queued sms", smsid=entry["smsid"], outcome=outcome)
    count(METRICS[outcome])

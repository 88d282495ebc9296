"""Outbox queue: submit each message that is waiting; an entry is done once its effect is durable."""

from functools import partial
from threading import Lock
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_queued_sms import application
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.observability import logger, metrics
from switchboard.usecases.send_queued_sms import QueuedOutcome

# Entries are handled by threads, and metrics are not made for that.
_ONE_AT_A_TIME = Lock()
METRICS = {
    QueuedOutcome.ACCEPTED: "SmsAccepted",
    QueuedOutcome.REJECTED: "SmsRejected",
    QueuedOutcome.UNKNOWN: "SmsUnknown",
    QueuedOutcome.PUT_BACK: "SmsPutBack",
    QueuedOutcome.REFUSED_US: "ProviderConfigurationRefused",
    QueuedOutcome.NOTHING_TO_DO: "SmsAlreadySettled",
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@partial(batch_endpoint, runner=lambda size: application().side_by_side(size))
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    outcome = application()(entry["smsid"])
    logger.info("queued sms", smsid=entry["smsid"], outcome=outcome)
    with _ONE_AT_A_TIME:
        metrics.add_metric(name=METRICS[outcome], unit=MetricUnit.Count, value=1)

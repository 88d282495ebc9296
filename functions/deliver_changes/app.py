"""Hooks' queue: post a changed item to one subscription, or bring out what is owed to one."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.deliver_changes import application, retry_delay
from switchboard.domain.subscription.queue_entries import entry_from_json
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.usecases.subscription.deliver import DeliveryOutcome

app = application()

OUTCOME_METRICS: dict[DeliveryOutcome, Metric] = {
    DeliveryOutcome.DELIVERED: Metric.CHANGES_DELIVERED,
    DeliveryOutcome.OWED: Metric.CHANGES_OWED,
    DeliveryOutcome.RESTING: Metric.CHANGES_OWED,
    DeliveryOutcome.FORBIDDEN: Metric.CHANGES_FORBIDDEN,
    DeliveryOutcome.DISABLED: Metric.SUBSCRIPTIONS_DISABLED,
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@batch_endpoint(retry_delay)
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    """Handle one entry of the queue."""
    hook_entry = entry_from_json(entry)
    outcome = app(hook_entry)
    item = hook_entry.item
    logger.info(
        "hook",
        subscription=hook_entry.subscription,
        kind=None if item is None else item.kind,
        id=None if item is None else item.id,
        outcome=outcome,
    )
    if outcome in OUTCOME_METRICS:
        count(OUTCOME_METRICS[outcome])

"""Schedule: every minute time out, close or requeue overdue items, and replay spooled events."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.sweep_overdue import application
from switchboard.edge.background import background_endpoint
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.usecases.operations.reconcile_overdue import SweepAction

# Enough time for a round that has just begun.
_LAST_ROUND_MS = 25_000


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@background_endpoint
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Return how often the sweep took each action."""
    count(Metric.SWEEPS_STARTED)
    actions = application()(enough=lambda: context.get_remaining_time_in_millis() < _LAST_ROUND_MS)
    counts = {action.value: times for action, times in actions.items()}
    logger.info("swept", extra=counts)
    count(Metric.OVERDUE_RECONCILED, sum(counts.values()))
    count(Metric.SPOOLED_EVENTS_QUARANTINED, counts.get(SweepAction.EVENT_QUARANTINED, 0))
    return counts

"""Every minute: turn what has been silent for too long into what the silence means."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.sweep_overdue import application
from switchboard.edge.observability import logger, metrics
from switchboard.usecases.operations.reconcile_overdue import SweepAction

# For the round that has begun by then.
_LAST_ROUND_MS = 25_000


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    metrics.add_metric(name="SweepsStarted", unit=MetricUnit.Count, value=1)
    reconciled = application()(enough=lambda: context.get_remaining_time_in_millis() < _LAST_ROUND_MS)
    done = {action.value: count for action, count in reconciled.items()}
    logger.info("swept", extra=done)
    metrics.add_metric(name="OverdueReconciled", unit=MetricUnit.Count, value=sum(done.values()))
    unreadable = done.get(SweepAction.EVENT_QUARANTINED, 0)
    metrics.add_metric(name="SpooledEventsQuarantined", unit=MetricUnit.Count, value=unreadable)
    return done

"""Schedule: every minute time out, close or requeue overdue items, and replay spooled events."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.sweep_overdue import application
from switchboard.edge.background import background_endpoint
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics, record_by_mode, reporting
from switchboard.usecases.operations.reconcile_overdue import SweepAction, SweepReport

app = application()

# Enough time for a round that has just begun.
_LAST_ROUND_MS = 25_000
_MOST_LOGGED = 50


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@background_endpoint
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Return how often the sweep took each action."""
    count(Metric.SWEEPS_STARTED)
    report = SweepReport()
    with reporting(lambda: _count_actions(report)):
        app(enough=lambda: context.get_remaining_time_in_millis() < _LAST_ROUND_MS, report=report)
    return {action.value: times for action, times in report.actions.items()}


def _count_actions(report: SweepReport) -> None:
    """Log and count what was done, also if the sweep failed."""
    logger.info("swept", extra={action.value: times for action, times in report.actions.items()})
    count(Metric.OVERDUE_RECONCILED, report.actions.total())
    count(Metric.SPOOLED_EVENTS_QUARANTINED, report.actions[SweepAction.EVENT_QUARANTINED])
    for mode, times in report.expired.items():
        record_by_mode(Metric.VERIFICATIONS_EXPIRED, mode, times)
    if report.poison:
        logger.error("poison entries", entries=report.poison[:_MOST_LOGGED])
        count(Metric.POISON_ENTRIES, len(report.poison))

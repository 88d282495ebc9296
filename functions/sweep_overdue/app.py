"""Every minute: turn what has been silent for too long into what the silence means."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.sweep_overdue import application
from switchboard.edge.observability import logger, metrics
from switchboard.usecases.settle_overdue import SweepAction


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    metrics.add_metric(name="SweepsStarted", unit=MetricUnit.Count, value=1)
    done = {action.value: count for action, count in application()().items()}
    logger.info("swept", extra=done)
    metrics.add_metric(name="OverdueSettled", unit=MetricUnit.Count, value=sum(done.values()))
    unreadable = done.get(SweepAction.REPORT_QUARANTINED, 0)
    metrics.add_metric(name="HeldReportsQuarantined", unit=MetricUnit.Count, value=unreadable)
    return done

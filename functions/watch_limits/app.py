"""Schedule: every minute write the state of the providers' limits as metrics, and record circuits that changed."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.watch_limits import application
from switchboard.edge.background import background_endpoint
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import logger, record_gauges

app = application()


@logger.inject_lambda_context(clear_state=True)
@background_endpoint
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Write the gauges of every provider whose state can be read."""
    status = app.query_status()
    app.record_circuits(status)
    logger.info("limits watched", unavailable=status.unavailable)
    for provider, state in status.providers.items():
        if state is not None:
            record_gauges(
                provider,
                {
                    Metric.CIRCUIT_OPEN: int(state.open_because is not None),
                    Metric.CONSECUTIVE_401S: state.consecutive_401s,
                    Metric.SLOTS_AHEAD_SECONDS: state.slots_ahead_s,
                    Metric.REQUESTS_IN_FLIGHT: state.in_flight,
                },
            )
    for provider, usage in status.month_quotas.items():
        if usage is not None:
            record_gauges(provider, {Metric.MONTHLY_QUOTA_USED_PERCENT: usage.used_percent})

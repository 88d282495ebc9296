"""Every minute: how the providers' limits stand, as metrics for the alarms to look at."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.watch_limits import application
from switchboard.edge.observability import logger, record_gauges


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    status = application()()
    logger.info("limits watched", unavailable=status.unavailable)
    for provider, lane in status.providers.items():
        if lane is not None:
            record_gauges(
                provider,
                {
                    "CircuitOpen": int(lane.open_because is not None),
                    "Consecutive401s": lane.consecutive_401s,
                    "SlotsAheadSeconds": lane.slots_ahead_s,
                    "RequestsInFlight": lane.in_flight,
                },
            )
    for provider, month in status.month_quotas.items():
        if month is not None:
            record_gauges(provider, {"MonthQuotaUsedPercent": month.used_percent})

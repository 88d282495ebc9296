"""Every minute: how the providers' limits stand, as metrics for the alarms to look at."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.watch_limits import application
from switchboard.edge.observability import logger, record_gauges


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    status = application()()
    logger.info("limits watched", unavailable=status.unavailable)
    for provider, state in status.providers.items():
        if state is not None:
            record_gauges(
                provider,
                {
                    "CircuitOpen": int(state.open_because is not None),
                    "Consecutive401s": state.consecutive_401s,
                    "SlotsAheadSeconds": state.slots_ahead_s,
                    "RequestsInFlight": state.in_flight,
                },
            )
    for provider, month in status.month_quotas.items():
        if month is not None:
            record_gauges(provider, {"MonthlyQuotaUsedPercent": month.used_percent})

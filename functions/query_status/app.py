"""`GET /v1/status`: read the providers' limits, the monthly quota, the pending deadlines and the queues."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query_status import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.edge.api.status import parse_filter, to_json
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@client_endpoint(api_keys, scope=Scope.STATUS)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the whole status."""
    parse_filter(request)
    status = app()
    logger.info("status queried", unavailable=status.unavailable)
    count(Metric.STATUS_QUERIED)
    return Reply(HTTPStatus.OK, to_json(status))

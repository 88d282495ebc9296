"""`GET /v1/status`: how the providers' limits, the month, the obligations and the queues stand."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query_status import application
from switchboard.edge.api.status import check_status_request, status_json
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    check_status_request(request)
    status = app()
    logger.info("status queried", unavailable=status.unavailable)
    metrics.add_metric(name="StatusQueried", unit=MetricUnit.Count, value=1)
    return Reply(HTTPStatus.OK, status_json(status))

"""`GET /v1/sms/{smsid}` and `GET /v1/sms`: where a caller's messages stand."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query import application
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics
from switchboard.edge.sms_api import list_json, parse_filter, view_json


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    metrics.add_metric(name="SmsQueried", unit=MetricUnit.Count, value=1)
    smsid = request.path_params.get("smsid")
    if smsid is not None:
        view = app.query.one(smsid, client=request.client)
        logger.info("sms queried", smsid=view.order.smsid, state=view.standing.state)
        return Reply(HTTPStatus.OK, view_json(view, statuses=app.statuses))
    wanted, limit, position = parse_filter(request)
    page = app.query.many(wanted, client=request.client, limit=limit, position=position)
    logger.info("sms listed", count=len(page.items))
    return Reply(HTTPStatus.OK, list_json(page, statuses=app.statuses))

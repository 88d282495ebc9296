"""`GET /v1/sms`, `GET /v1/verifications` and one of each: where what a caller asked for stands."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query import QueryApplication, application
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics
from switchboard.edge.sms_api import list_json, parse_filter, view_json
from switchboard.edge.verification_api import parse_verification_filter, verification_json, verifications_json


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    if request.route.startswith("/verifications"):
        metrics.add_metric(name="VerificationsQueried", unit=MetricUnit.Count, value=1)
        return _verifications(app, request)
    metrics.add_metric(name="SmsQueried", unit=MetricUnit.Count, value=1)
    return _messages(app, request)


def _messages(app: QueryApplication, request: InboundRequest) -> Reply:
    smsid = request.path_params.get("smsid")
    if smsid is not None:
        view = app.query.one(smsid, client=request.client)
        logger.info("sms queried", smsid=view.order.smsid, state=view.standing.state)
        return Reply(HTTPStatus.OK, view_json(view, statuses=app.statuses))
    wanted, limit, position = parse_filter(request)
    page = app.query.many(wanted, client=request.client, limit=limit, position=position)
    logger.info("sms listed", count=len(page.items))
    return Reply(HTTPStatus.OK, list_json(page, statuses=app.statuses))


def _verifications(app: QueryApplication, request: InboundRequest) -> Reply:
    verification_id = request.path_params.get("verification_id")
    if verification_id is not None:
        view = app.verifications.one(verification_id, client=request.client)
        logger.info("verification queried", verification_id=view.order.id, state=view.standing.state)
        return Reply(HTTPStatus.OK, verification_json(view))
    wanted, limit, position = parse_verification_filter(request)
    page = app.verifications.many(wanted, client=request.client, limit=limit, position=position)
    logger.info("verifications listed", count=len(page.items))
    return Reply(HTTPStatus.OK, verifications_json(page))

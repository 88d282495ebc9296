"""`GET /v1/suppressions`, and `PUT|GET|DELETE /v1/suppressions/{number}`: numbers to which nothing is sent."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.suppressions import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.edge.api.suppressions import page_to_json, parse_number, parse_page, parse_reason, to_json
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@client_endpoint(api_keys, scope=Scope.SUPPRESSIONS)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with a suppression or a page of them, or with nothing after one has ended. No log has a number."""
    if "number" not in request.path_params:
        count(Metric.SUPPRESSIONS_QUERIED)
        limit, position = parse_page(request)
        page = app.many(limit=limit, position=position)
        if page.unreadable:
            count(Metric.POISON_ENTRIES, page.unreadable)
        return Reply(HTTPStatus.OK, page_to_json(page))
    number = parse_number(request)
    if request.method == "PUT":
        suppression, is_new = app.put(number, reason=parse_reason(request))
        logger.info("number suppressed", new=is_new)
        count(Metric.SUPPRESSIONS_CHANGED)
        return Reply(HTTPStatus.CREATED if is_new else HTTPStatus.OK, to_json(suppression))
    if request.method == "DELETE":
        app.remove(number)
        logger.info("suppression ended")
        count(Metric.SUPPRESSIONS_CHANGED)
        return Reply(HTTPStatus.NO_CONTENT, "")
    count(Metric.SUPPRESSIONS_QUERIED)
    return Reply(HTTPStatus.OK, to_json(app.one(number)))

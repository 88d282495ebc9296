"""`/v1/subscriptions` and everything below it: register, show, change, delete, rotate, test and recover."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.manage_subscriptions import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.edge.subscription_routes import handle, read_subscription_id

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@client_endpoint(api_keys, scope=Scope.SUBSCRIPTIONS)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with one subscription, with all of the client's, or with the result of an action."""
    reply = handle(app, request)
    if request.method == "GET":
        count(Metric.SUBSCRIPTIONS_QUERIED)
        return reply
    logger.info("subscription", method=request.method, resource=request.route, id=read_subscription_id(request))
    created = request.route == "/subscriptions"
    count(Metric.SUBSCRIPTIONS_CREATED if created else Metric.SUBSCRIPTIONS_CHANGED)
    return reply

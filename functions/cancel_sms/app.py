"""`DELETE /v1/sms/{smsid}`: cancel a message of which nothing was submitted."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.cancel_sms import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.edge.api.sms import to_json
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@client_endpoint(api_keys, scope=Scope.SMS)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the canceled message."""
    canceled = app.cancel(request.path_params.get("smsid", ""), client=request.client)
    logger.info("sms canceled", smsid=canceled.id)
    count(Metric.SMS_CANCELED)
    return Reply(HTTPStatus.OK, to_json(app.query.view(canceled), statuses=app.statuses))

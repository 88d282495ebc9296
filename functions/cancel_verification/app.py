"""`DELETE /v1/verifications/{verification_id}`: cancel a verification."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.cancel_verification import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.edge.api.verifications import to_json
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@client_endpoint(api_keys, scope=Scope.VERIFY)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the canceled verification."""
    canceled = app.cancel(request.path_params.get("verification_id", ""), client=request.client)
    logger.info("verification canceled", verification_id=canceled.id)
    count(Metric.VERIFICATIONS_CANCELED)
    return Reply(HTTPStatus.OK, to_json(app.query.view(canceled)))

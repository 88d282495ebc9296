"""`POST /v1/verifications/{verification_id}/check`: is this the code that was read out?"""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.check_verification import application
from switchboard.edge.api.verifications import parse_code, verification_json
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    client, code = request.client, parse_code(request)
    verified = app.check(request.path_params.get("verification_id", ""), code, client=client)
    logger.info("verification checked", verification_id=verified.id)
    metrics.add_metric(name="VerificationsChecked", unit=MetricUnit.Count, value=1)
    return Reply(HTTPStatus.OK, verification_json(app.query.view(verified)))

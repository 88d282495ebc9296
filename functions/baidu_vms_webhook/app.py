"""`GET|POST /v1/webhooks/baidu_vms/{token}`: keep what Baidu VMS reports of a call."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.baidu_vms_webhook import application
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics

METRICS = {
    "recorded": "CallResultsRecorded",
    "unmatched": "CallResultsUnmatched",
    "spooled": "CallResultsSpooled",
    "quarantined": "CallResultsQuarantined",
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "baidu_vms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    app.authenticate(request)
    received = app.receive(request)
    logger.info("call result", call_id=received.call_id, outcome=received.outcome)
    metrics.add_metric(name=METRICS[received.outcome], unit=MetricUnit.Count, value=1)
    return Reply(HTTPStatus.OK, app.answer)

"""`GET|POST /v1/webhooks/mediasms/{token}/ivr`: keep that a telephone has called one of our lines."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.mediasms_ivr_webhook import application
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics

METRICS = {
    "matched": "IvrCallsMatched",
    "duplicate": "IvrCallsRepeated",
    "late": "IvrCallsLate",
    "foreign": "IvrCallsUnmatched",
    "no_candidate": "IvrCallsUnmatched",
    "spooled": "IvrCallsSpooled",
    "quarantined": "IvrCallsQuarantined",
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    app.authenticate(request)
    received = app.receive(request)
    logger.info("call reported", smsid=received.smsid, outcome=received.outcome)
    metrics.add_metric(name=METRICS[received.outcome], unit=MetricUnit.Count, value=1)
    return Reply(HTTPStatus.OK, "OK")

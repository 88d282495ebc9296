"""`GET|POST /v1/webhooks/mediasms/{token}/delivery`: keep what MediaSMS reports of a message."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.mediasms_delivery_webhook import application
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics

METRICS = {
    "recorded": "DeliveryReportsRecorded",
    "orphan": "DeliveryReportsOrphaned",
    "spooled": "DeliveryReportsSpooled",
    "quarantined": "DeliveryReportsQuarantined",
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    app.authenticate(request)
    received = app.receive(request)
    logger.info("delivery report", smsid=received.smsid, meaning=received.meaning, outcome=received.outcome)
    metrics.add_metric(name=METRICS[received.outcome], unit=MetricUnit.Count, value=1)
    if received.authcode_unreadable:
        metrics.add_metric(name="AuthcodesUnreadable", unit=MetricUnit.Count, value=1)
    return Reply(HTTPStatus.OK, "OK")

"""`GET|POST /v1/webhooks/mediasms/{token}/delivery`: record what MediaSMS reports of a message."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.mediasms_delivery_webhook import application
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer one callback."""
    received = app.receive(request)
    if received.event is not None and received.event.authcode_unreadable:
        count(Metric.AUTHCODES_UNREADABLE)
    return received.reply

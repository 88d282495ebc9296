"""`GET|POST /v1/webhooks/baidu_vms/{token}`: record what Baidu VMS reports of a call."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.baidu_vms_webhook import application
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "baidu_vms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer one callback."""
    return app.receive(request).reply

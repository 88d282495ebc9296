"""`GET|POST /v1/webhooks/biztel/{token}/monitor_file_event`: record that a recording can be fetched."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.biztel_call_action_webhook import application
from switchboard.edge.call_action_replies import call_action_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "biztel"})
@call_action_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer one callback."""
    return app.receive(request).reply

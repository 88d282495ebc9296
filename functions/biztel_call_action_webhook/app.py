"""`GET|POST /v1/webhooks/biztel/{token}/monitor_file_event`: keep the news that a recording can be fetched."""

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.biztel_call_action_webhook import application
from switchboard.edge.call_action_replies import accepted_reply, call_action_endpoint, refused_reply
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "biztel"})
@call_action_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    app.authenticate(request)
    received = app.receive(request)
    if received.problem is not None:
        logger.warning("call action refused", problem=received.problem)
        metrics.add_metric(name="CallActionsRefused", unit=MetricUnit.Count, value=1)
        return refused_reply(received.problem)
    logger.info("call action", recording_id=received.recording_id, new=received.new)
    name = "RecordingsAnnounced" if received.new else "CallActionsRepeated"
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    return accepted_reply()

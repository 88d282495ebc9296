"""`POST /v1/sms/batch`: up to 100 messages for the slow lane, each taken or refused on its own."""

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_sms_batch import application
from switchboard.domain.errors import SwitchboardError
from switchboard.edge.api.request_bodies import parse_idempotency_key
from switchboard.edge.api.sms import batch_reply, parse_batch
from switchboard.edge.endpoint import count_limit, http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics
from switchboard.usecases.sms.send_batch import BatchItem


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    client, key = request.client, parse_idempotency_key(request)
    items = app.send(parse_batch(request, rules=app.rules), client=client, key=key)
    queued = sum(isinstance(item, BatchItem) and not item.replayed for item in items)
    logger.info("sms batch", items=len(items), queued=queued)
    metrics.add_metric(name="SmsQueued", unit=MetricUnit.Count, value=queued)
    for item in items:
        if isinstance(item, SwitchboardError):
            count_limit(item)
    return batch_reply(items)

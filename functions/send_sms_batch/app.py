"""`POST /v1/sms/batch`: queue up to 100 messages, each accepted or refused on its own."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_sms_batch import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.domain.errors import SwitchboardError
from switchboard.edge.api.bodies.sms import parse_batch_body
from switchboard.edge.api.sms import batch_to_reply
from switchboard.edge.endpoint import client_endpoint, count_limit
from switchboard.edge.http import InboundRequest, Reply, parse_idempotency_key
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.usecases.sms.send_batch import BatchItem

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@client_endpoint(api_keys, scope=Scope.SMS)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the outcome of each message."""
    client, key = request.client, parse_idempotency_key(request)
    items = app.send(parse_batch_body(request, rules=app.rules), client=client, key=key)
    queued = sum(isinstance(item, BatchItem) and not item.replayed for item in items)
    logger.info("sms batch", items=len(items), queued=queued)
    count(Metric.SMS_QUEUED, queued)
    for item in items:
        if isinstance(item, SwitchboardError):
            count_limit(item)
    return batch_to_reply(items)

"""`POST /v1/calls`: place one voice notice."""

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.place_call import application
from switchboard.domain.voice_calls import VoiceCallState
from switchboard.edge.api.request_bodies import parse_idempotency_key
from switchboard.edge.api.voice_calls import parse_call_body, placed_reply
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics

METRICS = {VoiceCallState.ACCEPTED: "VoiceCallAccepted"}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "baidu_vms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    client, key = request.client, parse_idempotency_key(request)
    placed = app.place(parse_call_body(request).command(client=client, idempotency_key=key))
    call_id, token = placed.order.call_id, placed.order.token
    logger.info("call", call_id=call_id, token=token, state=placed.status.state, replayed=placed.replayed)
    name = "VoiceCallReplayed" if placed.replayed else METRICS.get(placed.status.state, "VoiceCallUnknown")
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    return placed_reply(placed, replayed=placed.replayed)

"""`POST /v1/calls`: place one voice call."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.place_call import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.domain.voice_calls import VoiceCallState
from switchboard.edge.api.bodies.voice_calls import parse_body
from switchboard.edge.api.voice_calls import to_reply
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply, parse_idempotency_key
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()

STATE_METRICS = {VoiceCallState.ACCEPTED: Metric.VOICE_CALL_ACCEPTED}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "baidu_vms"})
@client_endpoint(api_keys, scope=Scope.CALLS)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the new call, or with the stored one if the request is a repeat."""
    caller, key = request.require_key(), parse_idempotency_key(request)
    result = app.place(parse_body(request).command(caller=caller, idempotency_key=key))
    call_id, token, state = result.order.call_id, result.order.token, result.status.state
    logger.info("call", call_id=call_id, token=token, state=state, replayed=result.replayed)
    state_metric = STATE_METRICS.get(state, Metric.VOICE_CALL_UNKNOWN)
    count(Metric.VOICE_CALL_REPLAYED if result.replayed else state_metric)
    return to_reply(result, replayed=result.replayed)

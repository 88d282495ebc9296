"""`POST /v1/sms`: send one SMS, or check its text with `dry_run`."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_sms import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.domain.sms.messages import SmsState
from switchboard.domain.sms.requests import compose
from switchboard.edge.api.bodies.sms import parse_body, to_command
from switchboard.edge.api.sms import preflight_to_json, to_reply
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply, parse_idempotency_key
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()

# A new message in any other state was accepted first.
STATE_METRICS = {
    SmsState.SCHEDULED: Metric.SMS_SCHEDULED,
    SmsState.QUEUED: Metric.SMS_QUEUED,
    SmsState.UNKNOWN: Metric.SMS_UNKNOWN,
    SmsState.EXPIRED: Metric.SMS_EXPIRED,
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@client_endpoint(api_keys, scope=Scope.SMS)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the new message, or with the stored one if the request is a repeat."""
    caller, key = request.require_key(), parse_idempotency_key(request)
    body = parse_body(request)
    composed = compose(body.request(), rules=app.rules)
    if body.dry_run:
        if composed.fits:
            app.send.check(to_command(body, composed, caller=caller, idempotency_key=key))
        count(Metric.SMS_PREFLIGHTED)
        return Reply(HTTPStatus.OK, preflight_to_json(composed))
    result = app.send(to_command(body, composed, caller=caller, idempotency_key=key))
    logger.info("sms", smsid=result.order.id, state=result.status.state, replayed=result.replayed)
    state_metric = STATE_METRICS.get(result.status.state, Metric.SMS_ACCEPTED)
    count(Metric.SMS_REPLAYED if result.replayed else state_metric)
    return to_reply(result, statuses=app.statuses, replayed=result.replayed)

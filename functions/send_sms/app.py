"""`POST /v1/sms`: send one SMS, or say with `dry_run` what would become of its text."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.send_sms import application
from switchboard.domain.sms.messages import SmsState
from switchboard.domain.sms.requests import compose
from switchboard.edge.api.request_bodies import parse_idempotency_key
from switchboard.edge.api.sms import parse_send_body, preflight_json, send_command, sent_reply
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics

# Everything else that a new message can be by now came after it was accepted.
METRICS = {SmsState.QUEUED: "SmsQueued", SmsState.UNKNOWN: "SmsUnknown", SmsState.EXPIRED: "SmsExpired"}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    client, key = request.client, parse_idempotency_key(request)
    body = parse_send_body(request)
    composed = compose(body.request(), rules=app.rules)
    if body.dry_run:
        if composed.fits:
            app.send.check(send_command(body, composed, client=client, idempotency_key=key))
        metrics.add_metric(name="SmsPreflighted", unit=MetricUnit.Count, value=1)
        return Reply(HTTPStatus.OK, preflight_json(composed))
    sent = app.send(send_command(body, composed, client=client, idempotency_key=key))
    logger.info("sms", smsid=sent.order.smsid, state=sent.status.state, replayed=sent.replayed)
    name = "SmsReplayed" if sent.replayed else METRICS.get(sent.status.state, "SmsAccepted")
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    return sent_reply(sent, statuses=app.statuses, replayed=sent.replayed)

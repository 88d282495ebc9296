"""`POST /v1/verifications`: let a telephone show that somebody has it."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.start_verification import application
from switchboard.domain.verification.requests import compose
from switchboard.edge.api.request_bodies import parse_idempotency_key
from switchboard.edge.api.verifications import parse_start_body, started_reply
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics
from switchboard.usecases.verification.start import StartVerificationCommand


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    client, key = request.client, parse_idempotency_key(request)
    composed = compose(parse_start_body(request).request(), rules=app.rules)
    started = app.start(StartVerificationCommand(client=client, request=composed, idempotency_key=key))
    reply = started_reply(started, replayed=started.replayed)
    unknown = reply.status is HTTPStatus.ACCEPTED
    logger.info("verification", verification_id=started.order.id, state=started.status.state, replayed=started.replayed)
    name = "VerificationReplayed" if started.replayed else "VerificationUnknown" if unknown else "VerificationStarted"
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    return reply

"""`POST /v1/verifications`: start to verify that a user holds a telephone number."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.start_verification import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.domain.verification.requests import compose
from switchboard.domain.verification.verifications import VerificationState
from switchboard.edge.api.bodies.verifications import parse_body
from switchboard.edge.api.verifications import to_reply
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply, parse_idempotency_key
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.usecases.verification.start import StartVerificationCommand

app = application()

STATE_METRICS = {VerificationState.UNKNOWN: Metric.VERIFICATION_UNKNOWN}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@client_endpoint(api_keys, scope=Scope.VERIFY)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the new verification, or with the stored one if the request is a repeat."""
    client, key = request.client, parse_idempotency_key(request)
    composed = compose(parse_body(request).request(), rules=app.rules)
    result = app.start(StartVerificationCommand(client=client, request=composed, idempotency_key=key))
    logger.info("verification", verification_id=result.order.id, state=result.status.state, replayed=result.replayed)
    state_metric = STATE_METRICS.get(result.status.state, Metric.VERIFICATION_STARTED)
    count(Metric.VERIFICATION_REPLAYED if result.replayed else state_metric)
    return to_reply(result, replayed=result.replayed)

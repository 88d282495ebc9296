"""`POST /v1/verifications` and `.../{verification_id}/resend`: start to verify a number, or send its code once more."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.start_verification import StartVerificationApplication, api_keys, application
from switchboard.domain.api_keys import ApiKey, Scope
from switchboard.domain.verification.requests import compose
from switchboard.domain.verification.verifications import VerificationState
from switchboard.edge.api.bodies.verifications import parse_body
from switchboard.edge.api.verifications import to_json, to_reply
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply, parse_idempotency_key
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics, record_by_mode
from switchboard.usecases.verification.start import StartVerificationCommand

app = application()

STATE_METRICS = {VerificationState.UNKNOWN: Metric.VERIFICATION_UNKNOWN}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@client_endpoint(api_keys, scope=Scope.VERIFY)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the verification: the new one, or the stored one if the request is a repeat or a resend."""
    caller, key = request.require_key(), parse_idempotency_key(request)
    verification_id = request.path_params.get("verification_id")
    if verification_id is not None:
        return resend(app, verification_id, caller=caller, key=key)
    composed = compose(parse_body(request).request(), rules=app.rules)
    command = StartVerificationCommand(client=caller.client, request=composed, idempotency_key=key, test=caller.test)
    result = app.start(command)
    logger.info("verification", verification_id=result.order.id, state=result.status.state, replayed=result.replayed)
    state_metric = STATE_METRICS.get(result.status.state, Metric.VERIFICATION_STARTED)
    count(Metric.VERIFICATION_REPLAYED if result.replayed else state_metric)
    if not result.replayed:
        record_by_mode(Metric.VERIFICATION_STARTED, result.order.mode, test=result.order.test)
    return to_reply(app.query.view(result.order), replayed=result.replayed)


def resend(app: StartVerificationApplication, verification_id: str, *, caller: ApiKey, key: str | None) -> Reply:
    """Send a new code, which ends the older one."""
    result = app.resend(verification_id, client=caller.client, key=key, test=caller.test)
    logger.info("verification resent", verification_id=verification_id, replayed=result.replayed)
    count(Metric.VERIFICATION_REPLAYED if result.replayed else Metric.VERIFICATIONS_RESENT)
    headers = {"Idempotent-Replayed": "true"} if result.replayed else {}
    return Reply(HTTPStatus.OK, to_json(app.query.view(result.verification)), headers)

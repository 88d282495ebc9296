"""`POST /v1/verifications/{verification_id}/check`: compare a code with the one that was read out."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.check_verification import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.edge.api.verifications import parse_check_body, to_json
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply, parse_idempotency_key
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics, record_by_mode

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
@client_endpoint(api_keys, scope=Scope.VERIFY)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the verified verification."""
    client, key, code = request.client, parse_idempotency_key(request), parse_check_body(request)
    result = app.check(request.path_params.get("verification_id", ""), code, client=client, key=key)
    verified = result.verification
    logger.info("verification checked", verification_id=verified.id, replayed=result.replayed)
    count(Metric.VERIFICATION_CHECKS_REPLAYED if result.replayed else Metric.VERIFICATIONS_CHECKED)
    if not result.replayed and verified.verified_at is not None:
        record_by_mode(Metric.VERIFICATIONS_CHECKED, verified.verified_by or verified.mode, test=verified.test)
        seconds = (verified.verified_at - verified.created_at).total_seconds()
        record_by_mode(Metric.SECONDS_TO_VERIFY, verified.mode, seconds, test=verified.test)
    headers = {"Idempotent-Replayed": "true"} if result.replayed else {}
    return Reply(HTTPStatus.OK, to_json(app.query.view(verified)), headers)

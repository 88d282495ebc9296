"""`POST /v1/recordings/{recording_id}/roles`: store who speaks on which channel of a recording."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.correct_recording_roles import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.domain.phone_numbers import canonical_tel
from switchboard.edge.api.recordings import parse_body, to_json
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@client_endpoint(api_keys, scope=Scope.RECORDINGS_CORRECT)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with the corrected recording."""
    left, right = parse_body(request)
    view = app.correct_roles(request.path_params.get("recording_id", ""), left=left, right=right)
    logger.info("roles corrected", recording_id=view.recording.recording_id, left=left, right=right)
    count(Metric.RECORDING_ROLES_CORRECTED)
    return Reply(HTTPStatus.OK, to_json(view, format_tel=canonical_tel))

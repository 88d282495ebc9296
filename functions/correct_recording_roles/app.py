"""`POST /v1/recordings/{recording_id}/roles`: write down who is who on the channels of a recording."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query_recordings import application
from switchboard.domain.phone_numbers import canonical_tel
from switchboard.edge.api.recordings import check_client, parse_roles, recording_json
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    check_client(request)
    left, right = parse_roles(request)
    view = app.correct_roles(request.path_params.get("recording_id", ""), left=left, right=right)
    logger.info("roles corrected", recording_id=view.recording.recording_id, left=left, right=right)
    metrics.add_metric(name="RecordingRolesCorrected", unit=MetricUnit.Count, value=1)
    return Reply(HTTPStatus.OK, recording_json(view, shown_tel=canonical_tel))

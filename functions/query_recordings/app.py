"""`GET /v1/recordings/{recording_id}` and `GET /v1/recordings`: where recordings stand, and where their files are."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query_recordings import application
from switchboard.domain.phone_numbers import canonical_tel
from switchboard.edge.api.recordings import check_client, list_json, parse_filter, recording_json
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    check_client(request)
    metrics.add_metric(name="RecordingsQueried", unit=MetricUnit.Count, value=1)
    recording_id = request.path_params.get("recording_id")
    if recording_id is not None:
        view = app.one(recording_id)
        logger.info("recording queried", recording_id=recording_id, state=view.status.state)
        return Reply(HTTPStatus.OK, recording_json(view, shown_tel=canonical_tel))
    wanted, limit, position = parse_filter(request)
    page = app.many(wanted, limit=limit, position=position)
    logger.info("recordings listed", count=len(page.items))
    return Reply(HTTPStatus.OK, list_json(page, shown_tel=canonical_tel))

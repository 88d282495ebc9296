"""`GET /v1/recordings`, `/v1/recordings/{recording_id}` and its `/transcript`: read recordings and transcripts."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query_recordings import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.domain.phone_numbers import canonical_tel
from switchboard.edge.api.recordings import page_to_json, parse_filter, to_json
from switchboard.edge.api.transcripts import parse_form, to_reply
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@client_endpoint(api_keys, scope=Scope.RECORDINGS_READ)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with one recording, its transcript, or one page of the list."""
    count(Metric.RECORDINGS_QUERIED)
    recording_id = request.path_params.get("recording_id")
    if recording_id is not None and request.route.endswith("/transcript"):
        form = parse_form(request)
        transcript = app.transcript(recording_id)
        logger.info("transcript queried", recording_id=recording_id, state=transcript.status.state)
        return to_reply(transcript, form, request)
    if recording_id is not None:
        view = app.one(recording_id)
        logger.info("recording queried", recording_id=recording_id, state=view.status.state)
        return Reply(HTTPStatus.OK, to_json(view, format_tel=canonical_tel))
    recording_filter, limit, position = parse_filter(request)
    page = app.many(recording_filter, limit=limit, position=position)
    if page.unreadable:
        count(Metric.POISON_ENTRIES, page.unreadable)
    logger.info("recordings listed", count=len(page.items))
    return Reply(HTTPStatus.OK, page_to_json(page, format_tel=canonical_tel))

"""Recordings' queue: fetch announced recordings and keep files that came in bulk. An entry ends once it is durable."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.fetch_recording import FetchApplication, application, retry_delay
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.edge.recording_metrics import count_fetch, log_fields
from switchboard.edge.recording_queue_entries import parse_entry
from switchboard.usecases.recording.keep_bulk_file import BulkOutcome

app = application()

BULK_METRICS = {
    BulkOutcome.STORED: Metric.BULK_FILES_STORED,
    BulkOutcome.THERE_ALREADY: Metric.BULK_FILES_REPEATED,
    BulkOutcome.QUARANTINED: Metric.BULK_FILES_QUARANTINED,
    BulkOutcome.GONE: Metric.BULK_FILES_GONE,
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "biztel"})
@batch_endpoint(retry_delay)
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    """Handle one entry of the queue."""
    for request in list(parse_entry(entry)):
        if request.bulk_key is not None:
            outcome = app.keep_bulk_file(request.bulk_key)
            logger.info("bulk file", outcome=outcome)
            count(BULK_METRICS[outcome])
        elif request.recording_id is not None:
            fetch(app, request.recording_id, request.job_key, context)


def fetch(app: FetchApplication, recording_id: str, job_key: str | None, context: LambdaContext) -> None:
    """Fetch one recording, with one log line."""
    result = app.fetch(
        recording_id, job_key=job_key, seconds_left=lambda: context.get_remaining_time_in_millis() / 1000
    )
    logger.info("recording", extra=log_fields(result))
    count_fetch(result)

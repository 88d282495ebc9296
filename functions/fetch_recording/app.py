"""Recordings' queue: fetch what is announced, keep what came in bulk; an entry is done once its effect is durable."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.fetch_recording import FetchApplication, application, retry_delay
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.observability import logger, metrics
from switchboard.edge.recording_metrics import add_outcome
from switchboard.usecases.recording.keep_bulk_file import BulkOutcome

BULK_METRICS = {
    BulkOutcome.STORED: "BulkFilesStored",
    BulkOutcome.THERE_ALREADY: "BulkFilesRepeated",
    BulkOutcome.QUARANTINED: "BulkFilesQuarantined",
    BulkOutcome.GONE: "BulkFilesGone",
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "biztel"})
@batch_endpoint(retry_delay)
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    app = application()
    for asked in app.entries(entry):
        if asked.bulk_key is not None:
            outcome = app.keep_bulk_file(asked.bulk_key)
            logger.info("bulk file", outcome=outcome)
            metrics.add_metric(name=BULK_METRICS[outcome], unit=MetricUnit.Count, value=1)
        elif asked.recording_id is not None:
            fetch(app, asked.recording_id, context)


def fetch(app: FetchApplication, recording_id: str, context: LambdaContext) -> None:
    """One recording: a line that names it, and what was counted."""
    done = app.fetch(recording_id, seconds_left=lambda: context.get_remaining_time_in_millis() / 1000)
    state = done.status.state if done.status else None
    logger.info("recording", recording_id=recording_id, state=state, ends=done.ends, requeue_reason=done.requeue_reason)
    add_outcome(done)

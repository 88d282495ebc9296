"""Queue of the recogniser's events and of the sweep's looks: store the transcripts of jobs that have ended."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.store_transcript import application, retry_delay
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.observability import logger, metrics
from switchboard.edge.transcript_metrics import count_store, store_fields
from switchboard.edge.transcription_queue_entries import parse_entry

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "transcribe"})
@batch_endpoint(retry_delay)
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    """Handle one entry of the queue."""
    recording_id = parse_entry(entry, recording_id_of=app.recording_id_of)
    if recording_id is None:
        logger.info("event about another job")
        return
    result = app.store(recording_id)
    logger.info("transcript", extra=store_fields(result))
    count_store(result)

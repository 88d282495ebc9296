"""Transcription queue: ask the recogniser for the jobs that a recording's transcript needs."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.start_transcription import application, retry_delay
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.observability import logger, metrics
from switchboard.edge.transcript_metrics import count_start, start_fields
from switchboard.edge.transcription_queue_entries import parse_recording_id

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "transcribe"})
@batch_endpoint(retry_delay)
def lambda_handler(entry: dict[str, Any], context: LambdaContext) -> None:
    """Handle one entry of the queue."""
    result = app(parse_recording_id(entry))
    logger.info("transcription", extra=start_fields(result))
    count_start(result)

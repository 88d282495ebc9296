"""State table's stream, repair queue and republication: put each visible change on the event bus."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.publish_changes import application, retry_delay
from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.timestamps import parse_timestamp
from switchboard.edge.background import background_endpoint
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.changes import publish_all, publish_batch
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@batch_endpoint(retry_delay)
def repair(entry: dict[str, Any], context: LambdaContext) -> None:
    """Publish the present state of one item, or queue one page of a republication."""
    if "list" in entry:
        count(Metric.CHANGES_REPUBLISHED, app.republish_page(entry["list"], start=entry["start"]))
        return
    change = app.prepare_present(entry["pk"])
    if change is not None and publish_all(app, [change]):
        raise StoreUnavailableError("publish change")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@background_endpoint
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle a batch of the stream or of the repair queue, or `{"republish": {"since": "2026-11-27T00:00:00Z"}}`."""
    if "republish" in event:
        queued = app.republish(parse_timestamp(event["republish"]["since"], field="since"))
        logger.info("republication queued", count=queued)
        count(Metric.CHANGES_REPUBLISHED, 0)  # the lists count their resources
        return {"queued": queued}
    if event["Records"][0]["eventSource"] == "aws:sqs":
        return repair(event, context)
    publish_batch(app, event)
    return {}

"""A batch is acknowledged entry by entry: poison fails alone, everything else is done."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from typing import Any, cast

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.edge.batch import batch_endpoint
from switchboard.edge.observability import logger, metrics

CONTEXT = cast("LambdaContext", None)
BODIES = {
    "good": json.dumps({"do": "good"}),
    "store down": json.dumps({"do": "store down"}),
    "bug": json.dumps({"do": "bug"}),
    "misconfigured": json.dumps({"do": "misconfigured"}),
    "no name": "{}",
    "not an object": "[1]",
    "not json": "{",
    "deep": "[" * 50_000,
    "empty": "",
}


QUEUE = "arn:aws:sqs:ap-northeast-1:000000000000:outbox"


def entries(kinds: Sequence[str], *, deliveries: int = 1) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": BODIES[kind],
                "attributes": {"ApproximateReceiveCount": str(deliveries)},
                "eventSourceARN": QUEUE,
            }
            for number, kind in enumerate(kinds)
        ]
    }


class Redeliveries:
    """Of one queue; `down` takes no wish."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down
        self.after_s: dict[str, int] = {}

    def after(self, delay_s: int, *, queue: str, receipt: str) -> None:
        assert queue == "outbox"
        if self.down:
            raise StoreUnavailableError("no answer")
        self.after_s[receipt] = delay_s


def run(
    kinds: Sequence[str], *, deliveries: int = 1, redeliveries: Redeliveries | None = None
) -> tuple[list[str], int]:
    """The ids said to have failed, and how many entries were done."""
    done = 0
    queue = redeliveries or Redeliveries()

    def handle(entry: dict[str, Any], context: LambdaContext) -> None:
        nonlocal done
        match entry["do"]:
            case "store down":
                raise StoreUnavailableError("no answer")
            case "bug":
                raise ZeroDivisionError
            case "misconfigured":
                raise ConfigurationError("wrong")
        done += 1

    answer = batch_endpoint(lambda: queue)(handle)(entries(kinds, deliveries=deliveries), CONTEXT)
    metrics.clear_metrics()
    assert set(answer) == {"batchItemFailures"}
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]], done


@given(st.lists(st.sampled_from(sorted(BODIES)), max_size=10))
def test_exactly_the_entries_without_their_effect_are_delivered_again(kinds: list[str]) -> None:
    failed, done = run(kinds)

    assert failed == [f"m{number}" for number, kind in enumerate(kinds) if kind != "good"]
    assert done == kinds.count("good")


@pytest.mark.parametrize(("deliveries", "after_s"), [(1, 15), (2, 30), (3, 60), (6, 480), (7, 900), (10, 900)])
def test_an_entry_that_failed_comes_again_soon_and_later_each_time(deliveries: int, after_s: int) -> None:
    redeliveries = Redeliveries()
    run(["good", "store down", "bug"], deliveries=deliveries, redeliveries=redeliveries)

    assert redeliveries.after_s == {"r1": after_s, "r2": after_s}


def test_where_the_queue_cannot_be_told_its_own_time_out_stands() -> None:
    assert run(["store down", "good"], redeliveries=Redeliveries(down=True)) == (["m0"], 1)


def test_an_entrys_text_is_not_logged() -> None:
    written = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)

    def handle(entry: dict[str, Any], context: LambdaContext) -> None:
        raise ValueError("canary 090-0000-0001")

    event = entries(["good"])
    event["Records"][0]["body"] = '{"canary": 1}'
    batch_endpoint(Redeliveries)(handle)(event, CONTEXT)

    handler.setStream(before)
    metrics.clear_metrics()
    assert "ValueError" in written.getvalue()
    assert "canary" not in written.getvalue()

"""A batch is acknowledged entry by entry: a poison message fails alone, all other entries are done."""

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


class RecordedDelays:
    """The retry delays of one queue, which may be down."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.is_down = is_down
        self.after_s: dict[str, int] = {}

    def after(self, delay_s: int, *, queue: str, receipt: str) -> None:
        assert queue == "outbox"
        if self.is_down:
            raise StoreUnavailableError("no answer")
        self.after_s[receipt] = delay_s


class BrokenDelays(RecordedDelays):
    """Retry delays that break in a way that no store's error describes."""

    def after(self, delay_s: int, *, queue: str, receipt: str) -> None:
        raise KeyError(queue)


def run(kinds: Sequence[str], *, deliveries: int = 1, delays: RecordedDelays | None = None) -> tuple[list[str], int]:
    """Run a batch; return the ids that it reports as failed, and how many entries were done."""
    done = 0
    queue = delays or RecordedDelays()

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
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]], done


@given(st.lists(st.sampled_from(sorted(BODIES)), max_size=10))
def test_exactly_the_failed_entries_are_delivered_again(kinds: list[str]) -> None:
    failed, done = run(kinds)

    assert failed == [f"m{number}" for number, kind in enumerate(kinds) if kind != "good"]
    assert done == kinds.count("good")


@pytest.mark.parametrize(("deliveries", "delay_s"), [(1, 15), (2, 30), (3, 60), (6, 480), (7, 900), (10, 900)])
def test_the_delay_of_a_failed_entry_doubles_up_to_15_minutes(deliveries: int, delay_s: int) -> None:
    delays = RecordedDelays()
    run(["good", "store down", "bug"], deliveries=deliveries, delays=delays)

    assert delays.after_s == {"r1": delay_s, "r2": delay_s}


def test_an_entry_fails_although_its_delay_cannot_be_set() -> None:
    assert run(["store down", "good"], delays=RecordedDelays(is_down=True)) == (["m0"], 1)


@pytest.mark.parametrize("place", range(3), ids=["first", "middle", "last"])
def test_a_delay_that_breaks_unexpectedly_fails_only_its_entry(place: int) -> None:
    kinds = ["good", "good", "good"]
    kinds[place] = "store down"
    assert run(kinds, delays=BrokenDelays()) == ([f"m{place}"], 2)


def test_the_text_of_an_entry_is_not_logged() -> None:
    written = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)

    def handle(entry: dict[str, Any], context: LambdaContext) -> None:
        raise ValueError("canary 090-0000-0001")

    event = entries(["good"])
    event["Records"][0]["body"] = '{"canary": 1}'
    batch_endpoint(RecordedDelays)(handle)(event, CONTEXT)

    handler.setStream(before)
    metrics.clear_metrics()
    assert "ValueError" in written.getvalue()
    assert "canary" not in written.getvalue()

"""A batch is acknowledged entry by entry: poison fails alone, everything else is done."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from typing import Any, cast

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


def entries(kinds: Sequence[str]) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{number}", "body": BODIES[kind]} for number, kind in enumerate(kinds)]}


def run(kinds: Sequence[str]) -> tuple[list[str], int]:
    """The ids said to have failed, and how many entries were done."""
    done = 0

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

    answer = batch_endpoint(handle)(entries(kinds), CONTEXT)
    metrics.clear_metrics()
    assert set(answer) == {"batchItemFailures"}
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]], done


@given(st.lists(st.sampled_from(sorted(BODIES)), max_size=10))
def test_exactly_the_entries_without_their_effect_are_delivered_again(kinds: list[str]) -> None:
    failed, done = run(kinds)

    assert failed == [f"m{number}" for number, kind in enumerate(kinds) if kind != "good"]
    assert done == kinds.count("good")


def test_an_entrys_text_is_not_logged() -> None:
    written = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)

    def handle(entry: dict[str, Any], context: LambdaContext) -> None:
        raise ValueError("canary 090-0000-0001")

    batch_endpoint(handle)({"Records": [{"messageId": "m0", "body": '{"canary": 1}'}]}, CONTEXT)

    handler.setStream(before)
    metrics.clear_metrics()
    assert "ValueError" in written.getvalue()
    assert "canary" not in written.getvalue()

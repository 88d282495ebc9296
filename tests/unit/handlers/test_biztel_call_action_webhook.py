"""BIZTEL's call actions through their handler: a 2xx means that the job is durable, and every error says so (I5)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.deployment import Deployment, HttpAnswer
from tests.events import cases_of, load_event, with_query

FUNCTION = "biztel_call_action_webhook"
REFUSED = {
    "no_id": "id_missing",
    "unusable_id": "id_unusable",
    "unexpanded_id": "id_unusable",
    "two_ids": "ambiguous",
}
ACCEPTED = sorted(set(cases_of(FUNCTION)) - {*REFUSED, "wrong_token"})
ERROR_PATTERN = re.compile(r'"result":"error"')
"""What README.md tells to type into the console."""


def tell(stack: Deployment, case: str) -> HttpAnswer:
    return stack.http(FUNCTION, load_event(FUNCTION, case))


def jobs(stack: Deployment) -> list[dict[str, Any]]:
    return stack.objects("jobs/", bucket="JobsBucket")


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_call_action_is_accepted_once_its_job_is_durable(stack: Deployment, case: str) -> None:
    answer = tell(stack, case)

    assert (answer.status, answer.body) == (200, '{"result":"accepted"}')
    assert answer.headers["Content-Type"] == "application/json"
    [job] = jobs(stack)
    assert job["recording_id"] in {"21061600000268000060", "1563433858.66"}


@pytest.mark.parametrize("case", ["get_query", "lower_case_names", "post_form", "post_json"])
def test_query_form_and_json_are_the_same_job(stack: Deployment, case: str) -> None:
    tell(stack, case)

    [job] = jobs(stack)
    assert job.pop("received_at").endswith("Z")
    assert job == {
        "recording_id": "21061600000268000060",
        "tel": "09000000001",
        "date": "2021-06-16 20:03:33",
        "called_at": "2021-06-16T11:03:33.000Z",
    }


@pytest.mark.parametrize(("case", "code"), REFUSED.items())
def test_without_a_usable_id_nothing_is_stored_and_the_answer_says_why(stack: Deployment, case: str, code: str) -> None:
    answer = tell(stack, case)

    assert (answer.status, answer.body) == (400, f'{{"result":"error","code":"{code}"}}')
    assert jobs(stack) == []
    assert "CallActionsRefused" in [name for name, _ in stack.metrics()]


def test_the_same_id_again_is_the_same_job_and_overwrites_nothing(stack: Deployment) -> None:
    tell(stack, "get_query")
    [first] = jobs(stack)

    again = tell(stack, "anonymous")

    assert (again.status, again.body) == (200, '{"result":"accepted"}')
    assert jobs(stack) == [first]
    names = [name for name, _ in stack.metrics()]
    assert (names.count("RecordingsAnnounced"), names.count("CallActionsRepeated")) == (1, 1)


def test_a_job_that_cannot_be_kept_is_an_error_that_the_consoles_pattern_finds(stack: Deployment) -> None:
    stack.lose_bucket("JobsBucket")

    answer = tell(stack, "get_query")

    assert (answer.status, answer.code) == (503, "service_unavailable")
    assert ERROR_PATTERN.search(answer.body)


def test_tokens_that_cannot_be_read_are_an_error_that_the_consoles_pattern_finds(stack: Deployment) -> None:
    stack.put_secret("WebhookTokensSecret", "no JSON")

    answer = tell(stack, "get_query")

    assert (answer.status, answer.code) == (500, "internal_error")
    assert ERROR_PATTERN.search(answer.body)


def test_a_wrong_token_changes_nothing(stack: Deployment) -> None:
    answer = tell(stack, "wrong_token")

    assert (answer.status, answer.code) == (403, "forbidden")
    assert ERROR_PATTERN.search(answer.body)
    assert jobs(stack) == []


def test_no_accepted_answer_matches_the_error_pattern_whatever_was_sent(stack: Deployment) -> None:
    event = with_query(load_event(FUNCTION, "get_query"), ("ID", "1"), ("TEL", '"result":"error"'))

    answer = stack.http(FUNCTION, event)

    assert answer.status == 200
    assert not ERROR_PATTERN.search(answer.body)
    assert json.loads(answer.body) == {"result": "accepted"}

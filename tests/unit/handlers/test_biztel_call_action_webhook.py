"""BIZTEL's call actions through their handler: a 2xx means that the job is durable, all else is an error (I5)."""

from __future__ import annotations

import base64
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
    "two_ids": "id_ambiguous",
    "broken_json": "not_json",
}
ACCEPTED = sorted(set(cases_of(FUNCTION)) - {*REFUSED, "wrong_token"})
ERROR_PATTERN = re.compile(r'"result":"error"')
"""The pattern that docs/guides/connect-biztel.md gives for BIZTEL's console."""


def send(stack: Deployment, case: str) -> HttpAnswer:
    return stack.http(FUNCTION, load_event(FUNCTION, case))


def jobs(stack: Deployment) -> list[dict[str, Any]]:
    return stack.objects(bucket="JobsBucket")


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_call_action_is_accepted_once_its_job_is_durable(stack: Deployment, case: str) -> None:
    answer = send(stack, case)

    assert (answer.status, answer.body) == (200, '{"result":"accepted"}')
    assert answer.headers["Content-Type"] == "application/json"
    [job] = jobs(stack)
    assert job["recording_id"] in {"21061600000268000060", "1563433858.66"}


@pytest.mark.parametrize("case", ["get_query", "lower_case_names", "post_form", "post_json", "post_multipart"])
def test_query_form_and_json_make_the_same_job(stack: Deployment, case: str) -> None:
    send(stack, case)

    [job] = jobs(stack)
    assert job.pop("received_at").endswith("Z")
    assert job == {
        "recording_id": "21061600000268000060",
        "tel": "09000000001",
        "date": "2021-06-16 20:03:33",
        "called_at": "2021-06-16T11:03:33.000Z",
    }


@pytest.mark.parametrize(("case", "code"), REFUSED.items())
def test_a_call_action_without_a_usable_id_is_refused_with_the_reason(stack: Deployment, case: str, code: str) -> None:
    answer = send(stack, case)

    assert (answer.status, answer.body) == (400, f'{{"result":"error","code":"{code}"}}')
    assert jobs(stack) == []
    [callback] = stack.objects("quarantine/biztel_call_action/")
    event = load_event(FUNCTION, case)
    assert callback["reason"] == code
    assert base64.b64decode(callback["body_base64"]) == base64.b64decode(event["body"] or "")
    assert json.loads(callback["query"]) == (event["multiValueQueryStringParameters"] or {})
    assert "CallActionsRefused" in [name for name, _ in stack.metrics()]


def test_a_refused_call_action_that_cannot_be_kept_is_an_error(stack: Deployment) -> None:
    stack.lose_bucket()

    answer = send(stack, "no_id")

    assert (answer.status, answer.code) == (503, "service_unavailable")
    assert ERROR_PATTERN.search(answer.body)


def test_the_first_number_counts_and_a_spaced_offset_is_read(stack: Deployment) -> None:
    send(stack, "two_numbers_and_offset")

    [job] = jobs(stack)
    assert (job["tel"], job["called_at"]) == ("09000000001", "2021-06-16T11:03:33.000Z")


def test_a_repeated_id_is_accepted_and_overwrites_nothing(stack: Deployment) -> None:
    send(stack, "get_query")
    [first] = jobs(stack)

    again = send(stack, "anonymous")

    assert (again.status, again.body) == (200, '{"result":"accepted"}')
    send(stack, "anonymous")
    # The other number is kept beside the first one.
    assert [job["tel"] for job in jobs(stack)] == [first["tel"], "anonymous"]
    assert first in jobs(stack)
    names = [name for name, _ in stack.metrics()]
    counts = [names.count(f"{name}") for name in ("RecordingsAnnounced", "CallActionsDifferent", "CallActionsRepeated")]
    assert counts == [1, 1, 1]


def test_call_actions_beyond_five_different_ones_are_counted_and_not_kept(stack: Deployment) -> None:
    event = load_event(FUNCTION, "get_query")
    for number in range(7):
        assert stack.http(FUNCTION, with_query(event, ("ID", "1"), ("TEL", str(number)))).status == 200

    assert len(jobs(stack)) == 5
    assert [name for name, _ in stack.metrics()].count("CallActionsIgnored") == 2


def test_the_consoles_pattern_finds_a_job_that_cannot_be_stored(stack: Deployment) -> None:
    stack.lose_bucket("JobsBucket")

    answer = send(stack, "get_query")

    assert (answer.status, answer.code) == (503, "service_unavailable")
    assert ERROR_PATTERN.search(answer.body)


def test_the_consoles_pattern_finds_an_unreadable_tokens_secret(stack: Deployment) -> None:
    stack.put_secret("BiztelTokensSecret", "no JSON")

    answer = send(stack, "get_query")

    assert (answer.status, answer.code) == (500, "internal_error")
    assert ERROR_PATTERN.search(answer.body)


def test_a_call_action_with_a_wrong_token_changes_nothing(stack: Deployment) -> None:
    answer = send(stack, "wrong_token")

    assert (answer.status, answer.code) == (403, "forbidden")
    assert ERROR_PATTERN.search(answer.body)
    assert jobs(stack) == []


def test_an_accepted_answer_never_matches_the_error_pattern(stack: Deployment) -> None:
    event = with_query(load_event(FUNCTION, "get_query"), ("ID", "1"), ("TEL", '"result":"error"'))

    answer = stack.http(FUNCTION, event)

    assert answer.status == 200
    assert not ERROR_PATTERN.search(answer.body)
    assert json.loads(answer.body) == {"result": "accepted"}

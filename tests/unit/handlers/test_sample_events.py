"""Every sample event goes through its own handler and gets the contract's answer."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.deployment import Deployment
from tests.events import EVENTS, cases_of, load_event
from tests.translated_template import function_folders
from tests.unit.handlers.test_publish_changes import PUBLISHED

HTTP_ANSWERS: Final[dict[str, dict[str, tuple[int, str | None]]]] = {
    "send_sms": {
        "japanese_text": (201, None),
        "template": (201, None),
        "full_width_number": (201, None),
        "text_for_au_without_the_option": (422, "invalid_request"),
        "idempotency_key": (201, None),
        "lower_case_headers": (201, None),
        "byte_order_mark": (201, None),
        "dry_run": (200, None),
        "text_and_template": (422, "invalid_request"),
        "bad_number": (422, "invalid_request"),
        "fixed_line_number": (422, "invalid_request"),
        "character_without_shift_jis": (422, "invalid_request"),
        "text_too_long": (422, "invalid_request"),
        "unknown_field": (422, "invalid_request"),
        "past_not_after": (422, "invalid_request"),
        "past_send_at": (422, "invalid_request"),
        "send_at_too_far_ahead": (422, "invalid_request"),
        "nul_in_text": (422, "invalid_request"),
        "broken_json": (400, "malformed_request"),
        "json_list": (400, "malformed_request"),
        "lone_surrogate": (400, "malformed_request"),
        "duplicate_json_key": (400, "malformed_request"),
        "not_a_number": (400, "malformed_request"),
        "shift_jis_json": (400, "malformed_request"),
        "no_body": (400, "malformed_request"),
        "no_api_key": (403, "forbidden"),
    },
    "send_sms_batch": {
        "two_messages": (202, None),
        "one_bad_among_good": (202, None),
        "no_messages": (422, "invalid_request"),
        "too_many_messages": (422, "invalid_request"),
        "not_a_list": (422, "invalid_request"),
        "broken_json": (400, "malformed_request"),
        "no_api_key": (403, "forbidden"),
    },
    "query": {
        "one": (200, None),
        "list": (200, None),
        "list_with_filters": (200, None),
        "unknown_smsid": (404, "not_found"),
        "bad_filters": (422, "invalid_request"),
        "repeated_parameter": (422, "invalid_request"),
        "unknown_parameter": (422, "invalid_request"),
        "foreign_cursor": (422, "invalid_request"),
        "unknown_verification": (404, "not_found"),
        "verifications": (200, None),
        "verifications_with_filters": (200, None),
        "verifications_in_no_state_of_theirs": (422, "invalid_request"),
        "unknown_call": (404, "not_found"),
        "list_calls": (200, None),
        "list_calls_with_filters": (200, None),
        "bad_call_filters": (422, "invalid_request"),
        "own_key": (200, None),
        "no_api_key": (403, "forbidden"),
    },
    "query_status": {
        "status": (200, None),
        "unknown_parameter": (422, "invalid_request"),
        "no_api_key": (403, "forbidden"),
    },
    "mediasms_delivery_webhook": {
        **dict.fromkeys(cases_of("mediasms_delivery_webhook"), (200, None)),
        "wrong_token": (403, "forbidden"),
    },
    "start_verification": {
        "call_in": (201, None),
        "sms_and_call_in": (201, None),
        "call_out": (201, None),
        "fixed_line_number": (201, None),
        "any_lines": (201, None),
        "named_line": (201, None),
        "idempotency_key": (201, None),
        "sms_code": (201, None),
        "sms_code_with_everything": (201, None),
        "sms_code_in_chinese": (201, None),
        "sms_code_without_place": (422, "invalid_request"),
        "sms_code_for_a_fixed_line": (422, "invalid_request"),
        "sms_code_origin_too_long": (422, "invalid_request"),
        "fallback_too_late": (422, "invalid_request"),
        "fallback_to_call_in": (422, "invalid_request"),
        "code_members_with_call_in": (422, "invalid_request"),
        "resend_of_unknown_id": (404, "not_found"),
        "fixed_line_number_as_mobile": (422, "invalid_request"),
        "mobile_number_as_fixed": (422, "invalid_request"),
        "overseas_number": (422, "invalid_request"),
        "text_with_call_in": (422, "invalid_request"),
        "no_text": (422, "invalid_request"),
        "character_without_shift_jis": (422, "invalid_request"),
        "unknown_line": (422, "invalid_request"),
        "unknown_mode": (422, "invalid_request"),
        "holding_time_too_long": (422, "invalid_request"),
        "holding_time_above_the_maximum": (422, "invalid_request"),
        "too_many_repeat_calls": (422, "invalid_request"),
        "repeat_calls_with_call_in": (422, "invalid_request"),
        "unknown_field": (422, "invalid_request"),
        "broken_json": (400, "malformed_request"),
        "no_api_key": (403, "forbidden"),
    },
    "check_verification": {
        "unknown_id": (404, "not_found"),
        "idempotency_key": (404, "not_found"),
        "unusable_idempotency_key": (422, "invalid_request"),
        "full_width_digits": (404, "not_found"),
        "not_digits": (422, "invalid_request"),
        "no_code": (422, "invalid_request"),
        "number_instead_of_text": (422, "invalid_request"),
        "broken_json": (400, "malformed_request"),
        "no_api_key": (403, "forbidden"),
    },
    "cancel_sms": {
        "unknown_id": (404, "not_found"),
        "impossible_id": (404, "not_found"),
        "no_api_key": (403, "forbidden"),
    },
    "suppressions": {
        "put": (201, None),
        "put_without_body": (201, None),
        "put_chinese_number": (201, None),
        "put_unknown_field": (422, "invalid_request"),
        "put_long_reason": (422, "invalid_request"),
        "put_broken_json": (400, "malformed_request"),
        "put_bad_number": (422, "invalid_request"),
        "unknown_number": (404, "not_found"),
        "delete_unknown_number": (404, "not_found"),
        "list": (200, None),
        "foreign_cursor": (422, "invalid_request"),
        "unknown_parameter": (422, "invalid_request"),
        "no_api_key": (403, "forbidden"),
    },
    "cancel_verification": {
        "unknown_id": (404, "not_found"),
        "impossible_id": (404, "not_found"),
        "no_api_key": (403, "forbidden"),
    },
    "mediasms_ivr_webhook": {
        **dict.fromkeys(cases_of("mediasms_ivr_webhook"), (200, None)),
        "wrong_token": (403, "forbidden"),
    },
    "place_call": {
        "chinese_text": (201, None),
        "everything": (201, None),
        "idempotency_key": (201, None),
        "no_variables": (201, None),
        "no_such_template": (422, "provider_rejected"),
        "number_that_baidu_refuses": (422, "provider_rejected"),
        "bad_number": (422, "invalid_request"),
        "other_country": (422, "invalid_request"),
        "ampersand_in_variable": (422, "invalid_request"),
        "unknown_field": (422, "invalid_request"),
        "variables_not_texts": (422, "invalid_request"),
        "broken_json": (400, "malformed_request"),
        "no_api_key": (403, "forbidden"),
    },
    "baidu_vms_webhook": {
        **dict.fromkeys(cases_of("baidu_vms_webhook"), (200, None)),
        "wrong_token": (403, "forbidden"),
    },
    "query_recordings": {
        "transcript": (404, "transcript_not_found"),
        "transcript_as_image": (406, "not_acceptable"),
        "one": (200, None),
        "list": (200, None),
        "list_with_filters": (200, None),
        "withheld_number": (200, None),
        "unknown_recording": (404, "not_found"),
        "impossible_id": (404, "not_found"),
        "bad_filters": (422, "invalid_request"),
        "unknown_parameter": (422, "invalid_request"),
        "foreign_cursor": (422, "invalid_request"),
        "no_api_key": (403, "forbidden"),
    },
    "correct_recording_roles": {
        "swapped": (200, None),
        "unknown_recording": (404, "not_found"),
        "twice_the_same": (422, "invalid_request"),
        "unknown_role": (422, "invalid_request"),
        "broken_json": (400, "malformed_request"),
        "no_api_key": (403, "forbidden"),
    },
    "biztel_call_action_webhook": {
        **dict.fromkeys(cases_of("biztel_call_action_webhook"), (200, None)),
        # Answers for BIZTEL's own pattern: tests/unit/handlers/test_biztel_call_action_webhook.py reads them.
        **dict.fromkeys(("no_id", "unusable_id", "unexpanded_id", "two_ids", "broken_json"), (400, None)),
        "wrong_token": (403, "forbidden"),
    },
}
"""The status and the problem code of every request through API Gateway."""

FAILED_ENTRIES: Final[dict[str, list[int]]] = {
    "fallback": [],
    "inquiry": [],
    "one": [],
    "unknown_smsid": [],
    "with_a_poisonous_entry": [2, 4, 5],
}
FAILED_TRANSCRIPTIONS: Final[dict[tuple[str, str], list[int]]] = {
    **{(name, case): [] for name in ("start_transcription", "store_transcript") for case in cases_of(name)},
    ("start_transcription", "no_recording"): [1],
    ("start_transcription", "unusable_id"): [1],
}
FAILED_RECORDINGS: Final[dict[str, list[int]]] = {
    **{case: [] for case in cases_of("fetch_recording")},
    "with_poisonous_entries": [1, 3, 4],
}
"""The entries of a batch that the queue delivers again, by position from 1."""

HTTP_CASES: Final = [(function, case) for function in HTTP_ANSWERS for case in cases_of(function)]


def test_every_function_has_sample_events_and_all_are_listed_here() -> None:
    assert {path.name for path in EVENTS.iterdir()} == set(function_folders().values())
    expected = {name: set(cases) for name, cases in HTTP_ANSWERS.items()}
    expected |= {"send_queued_sms": set(FAILED_ENTRIES), "fetch_recording": set(FAILED_RECORDINGS)}
    for function, case in FAILED_TRANSCRIPTIONS:
        expected.setdefault(function, set()).add(case)
    expected |= {"sweep_overdue": {"schedule"}, "watch_limits": {"schedule"}}
    # tests/unit/handlers/test_publish_changes.py reads what each of them publishes.
    expected |= {"publish_changes": set(PUBLISHED)}
    assert {path.name: set(cases_of(path.name)) for path in EVENTS.iterdir()} == expected


@pytest.mark.parametrize(("function", "case"), HTTP_CASES)
def test_a_request_gets_the_contracts_answer(stack: Deployment, function: str, case: str) -> None:
    if function == "query":
        stack.http("send_sms", load_event("send_sms", "japanese_text"))
    if "recording" in function:
        stack.http("biztel_call_action_webhook", load_event("biztel_call_action_webhook", "get_query"))
        stack.invoke("fetch_recording", load_event("fetch_recording", "job"))

    answer = stack.http(function, load_event(function, case))

    assert (answer.status, answer.code) == HTTP_ANSWERS[function][case]
    if answer.code is not None:
        assert_is_a_problem(answer.json, status=answer.status)


@pytest.mark.parametrize("case", cases_of("send_queued_sms"))
def test_a_batch_of_messages_names_exactly_the_failed_entries(stack: Deployment, case: str) -> None:
    event = load_event("send_queued_sms", case)

    answer = stack.invoke("send_queued_sms", event)

    failed = [event["Records"][position - 1]["messageId"] for position in FAILED_ENTRIES[case]]
    assert answer == {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@pytest.mark.parametrize("case", cases_of("fetch_recording"))
def test_a_batch_of_recordings_names_exactly_the_failed_entries(stack: Deployment, case: str) -> None:
    event = load_event("fetch_recording", case)

    answer = stack.invoke("fetch_recording", event)

    failed = [event["Records"][position - 1]["messageId"] for position in FAILED_RECORDINGS[case]]
    assert answer == {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@pytest.mark.parametrize(("function", "case"), FAILED_TRANSCRIPTIONS)
def test_a_batch_of_transcripts_names_exactly_the_failed_entries(stack: Deployment, function: str, case: str) -> None:
    event = load_event(function, case)

    answer = stack.invoke(function, event)

    failed = [event["Records"][position - 1]["messageId"] for position in FAILED_TRANSCRIPTIONS[function, case]]
    assert answer == {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def test_the_sweep_finds_nothing_overdue_in_a_new_stack(stack: Deployment) -> None:
    assert stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule")) == {}


@pytest.mark.parametrize(
    "function",
    [
        *(*HTTP_ANSWERS, "send_queued_sms", "fetch_recording", "sweep_overdue", "watch_limits"),
        *("start_transcription", "store_transcript"),
    ],
)
def test_every_log_line_of_a_function_is_json(stack: Deployment, function: str) -> None:
    for case in cases_of(function):
        stack.invoke(function, load_event(function, case))

    assert stack.logged()


def assert_is_a_problem(body: dict[str, Any], *, status: int) -> None:
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == status
    assert body["type"] == f"urn:switchboard:problem:{body['code']}"
    assert all(isinstance(body[name], str) and body[name] for name in ("type", "title", "detail", "code"))

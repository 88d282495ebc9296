"""The comparison of shown and real answers finds what differs, and only that."""

from __future__ import annotations

import pytest

from tests.docs.answers import find_differences

OUTPUT = (
    "HTTP/1.1 201 Created\r\nLocation: /v1/sms/0a1b\r\n\r\n"
    '{"smsid": "0a1b", "parts": 1, "reports": [{"status": "14"}, {"status": "1"}], "at": "2026-11-27T05:02:38.263Z"}'
    'HTTP/1.1 204 No Content\r\n\r\nOK{"final": true}'
)


@pytest.mark.parametrize(
    "shown",
    [
        'HTTP/1.1 201 Created\nLocation: /v1/sms/f0…43\n\n{"smsid": "f0…43", …}\nHTTP/1.1 204 No Content',
        '{"smsid": …, "parts": 1, "reports": […], "at": "2026-11-22T01:33:49.152Z"}\nOK\n{"final": true}',
        '{"reports": [{"status": "14"}, …], …}',
        '{"parts": 1, …\n "reports": [{"status": "14"},\n  {"status": "1"}], …}',
        "",
    ],
    ids=["lines and an id", "every member", "the first element", "left out in the middle", "nothing"],
)
def test_an_answer_as_shown_has_no_difference(shown: str) -> None:
    assert find_differences(shown, OUTPUT) == []


@pytest.mark.parametrize(
    "shown",
    [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 204 No Content\nHTTP/1.1 201 Created",
        "Location: /v1/calls/f0…43",
        '{"parts": 2, …}',
        '{"smsid": "f0…43"}',
        '{"state": …, …}',
        '{"reports": [{"status": "1"}, …], …}',
        '{"parts": "…", …}',
        '{"parts": 1, …}\n{"final": true}\n{"final": true}',
    ],
    ids=["status", "order", "header", "value", "not all", "a missing member", "element", "no text", "too many"],
)
def test_an_answer_not_as_shown_has_a_difference(shown: str) -> None:
    assert find_differences(shown, OUTPUT) != []

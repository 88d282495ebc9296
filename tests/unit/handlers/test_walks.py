"""The number of files that a reader has to open to follow one request in a container that has just started."""

from __future__ import annotations

import pytest

from tests.deployment import deployed, forget_aws_clients
from tests.events import load_event
from tests.walks import walked


@pytest.mark.parametrize(
    ("function", "event", "status", "most_files", "most_jumps"),
    [
        pytest.param("send_sms", "full_width_number", 201, 40, 250, id="an accepted SMS"),
        pytest.param("mediasms_delivery_webhook", "post_form_utf8", 200, 20, 45, id="a delivery report"),
    ],
)
def test_a_request_runs_through_few_files(
    *, function: str, event: str, status: int, most_files: int, most_jumps: int
) -> None:
    request = load_event(function, event)
    forget_aws_clients()
    # A slow machine that misses its slot would reserve a second one.
    with deployed(MediaSmsJitterMilliseconds="1000") as stack:
        stack.http("send_sms", load_event("send_sms", "japanese_text"))  # the message that the report is about
        stack.http(function, request)  # imports what the function needs and builds its clients
        stack.cold_start()

        with walked() as walk:
            answer = stack.http(function, request)

    assert answer.status == status
    assert len(walk.files) <= most_files, sorted(walk.files)
    assert walk.jumps <= most_jumps

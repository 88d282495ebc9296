"""The number of files that a reader has to open to follow one request in a container that has just started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import pytest

from switchboard.storage import aws
from tests.deployment import Deployment
from tests.events import load_event
from tests.walks import walked


@dataclass(frozen=True, slots=True)
class Route:
    """One request by its sample event, and its limits."""

    function: str
    event: str
    status: int
    most_files: int
    most_jumps: int


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(Route("send_sms", "full_width_number", 201, 48, 250), id="an accepted SMS"),
        pytest.param(Route("mediasms_delivery_webhook", "post_form_utf8", 200, 22, 58), id="a delivery report"),
    ],
)
def test_a_request_runs_through_few_files(stack: Deployment, monkeypatch: pytest.MonkeyPatch, route: Route) -> None:
    request = load_event(route.function, route.event)
    stack.http(route.function, request)  # imports the modules of the function
    stack.cold_start()
    forget_aws_clients()
    stop_time(monkeypatch)

    with walked() as walk:
        answer = stack.http(route.function, request)

    assert answer.status == route.status
    assert len(walk.files) <= route.most_files, sorted(walk.files)
    assert walk.jumps <= route.most_jumps


def forget_aws_clients() -> None:
    """Forget the clients too: each earlier container of this process watches the answers of the shared ones."""
    for cached in vars(aws).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def stop_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock: on a busy machine a request would miss its slot and reserve another one."""
    instant = datetime.now(UTC)

    class StoppedTime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return instant.astimezone(tz)

    monkeypatch.setattr("switchboard.clock.datetime", StoppedTime)

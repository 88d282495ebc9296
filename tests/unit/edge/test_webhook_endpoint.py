"""The one endpoint of all webhooks: who may call it, and where callbacks go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, cast

import pytest

from switchboard.domain.errors import (
    StoreRefusedError,
    StoreUnavailableError,
    WebhookForbiddenError,
    WebhookUnreadableError,
)
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import (
    CALL_ACTION_OUTCOMES,
    CALL_RESULT_OUTCOMES,
    DELIVERY_REPORT_OUTCOMES,
    IVR_CALL_OUTCOMES,
    Metric,
)
from switchboard.edge.observability import metrics
from switchboard.edge.webhook_endpoint import (
    Quarantine,
    WebhookAuthentication,
    WebhookEndpoint,
)
from switchboard.ports.callbacks import CallbackArchive, CallbackParams
from switchboard.ports.recordings import JobOutcome
from switchboard.ports.verifications import IvrCallMatch
from switchboard.usecases.sms.record_report import ReportOutcome
from switchboard.usecases.voice_call.record_result import ResultOutcome
from tests.fakes import START, FixedClock, InMemoryCallbackArchive, down
from tests.stored_secret import StoredSecret

TOKEN = "a-live-token"


def request_for(token: str, body: str = "") -> InboundRequest:
    return InboundRequest.from_event({"pathParameters": {"token": token}, "body": body})


# Where callbacks go


@dataclass(slots=True)
class Recorder:
    """A use case that records what it is given, or cannot."""

    outcome: str = "recorded"
    is_down: bool = False
    events: list[str] = field(default_factory=list)

    def __call__(self, event: str) -> str:
        if self.is_down:
            raise StoreUnavailableError("no answer")
        self.events.append(event)
        return self.outcome


def parse(params: CallbackParams) -> str:
    event = params.find_only("event")
    if not event:
        raise WebhookUnreadableError("no event")
    return event


def an_endpoint(record: Callable[[str], str], quarantine: Quarantine, **options: Any) -> WebhookEndpoint[str]:
    return WebhookEndpoint(
        subject="event",
        authentication=WebhookAuthentication(secret=StoredSecret.of_tokens([TOKEN]).cached(), source_ranges=[]),
        parse=parse,
        record=record,
        log_fields=lambda event: {"event": event},
        own_outcomes=frozenset({"recorded"}),
        outcome_metrics={
            "recorded": Metric.CALL_RESULTS_RECORDED,
            "unmatched": Metric.CALL_RESULTS_UNMATCHED,
            "quarantined": Metric.CALL_RESULTS_QUARANTINED,
            "refused": Metric.CALLBACKS_UNSTORABLE,
        },
        reply=Reply(HTTPStatus.OK, "OK"),
        quarantine=quarantine,
        **options,
    )


def a_quarantine(archive: CallbackArchive, **options: Any) -> Quarantine:
    return Quarantine(archive=archive, clock=FixedClock(), route="route", **options)


READABLE = request_for(TOKEN, "event=e1")
UNREADABLE = request_for(TOKEN, "other=e1")


@pytest.fixture(autouse=True)
def _no_metrics_left() -> Iterator[None]:
    yield
    metrics.clear_metrics()


def test_a_readable_callback_is_recorded_and_not_quarantined() -> None:
    archive, record = InMemoryCallbackArchive(), Recorder()

    received = an_endpoint(record, a_quarantine(archive)).receive(READABLE)

    assert (received.event, received.reply.body) == ("e1", "OK")
    assert record.events == ["e1"]
    assert archive.quarantined == []


def test_an_unreadable_callback_is_quarantined_with_the_reason() -> None:
    archive, record = InMemoryCallbackArchive(), Recorder()

    received = an_endpoint(record, a_quarantine(archive)).receive(UNREADABLE)

    assert (received.event, received.reply.body) == (None, "OK")
    [(callback, reason, at)] = archive.quarantined
    assert (callback.route, callback.body, reason, at) == ("route", b"other=e1", "no event", START)
    assert record.events == []


def test_an_unreadable_callback_that_cannot_be_kept_is_an_error() -> None:
    with pytest.raises(StoreUnavailableError):
        an_endpoint(Recorder(), a_quarantine(down(InMemoryCallbackArchive))).receive(UNREADABLE)


def test_an_unreadable_callback_is_refused_if_the_webhook_says_so() -> None:
    archive = InMemoryCallbackArchive()
    endpoint = an_endpoint(
        Recorder(), a_quarantine(archive), refuse=lambda reason: Reply(HTTPStatus.BAD_REQUEST, reason)
    )

    refused, accepted = endpoint.receive(UNREADABLE), endpoint.receive(READABLE)

    assert (refused.reply.status, refused.reply.body) == (400, "no event")
    assert accepted.reply.body == "OK"
    assert [callback.body for callback, _, _ in archive.quarantined] == [b"other=e1"]


def test_an_unreadable_callback_that_cannot_be_kept_is_not_refused() -> None:
    refusing = an_endpoint(
        Recorder(), a_quarantine(down(InMemoryCallbackArchive)), refuse=lambda _: Reply(HTTPStatus.BAD_REQUEST, "")
    )

    with pytest.raises(StoreUnavailableError):
        refusing.receive(UNREADABLE)


@pytest.mark.parametrize("request_", [READABLE, UNREADABLE], ids=["readable", "unreadable"])
def test_a_callback_without_a_live_token_goes_nowhere(request_: InboundRequest) -> None:
    archive, record = InMemoryCallbackArchive(), Recorder()
    forged = request_for("forged", request_.body.decode())

    with pytest.raises(WebhookForbiddenError):
        an_endpoint(record, a_quarantine(archive, every_callback=True)).receive(forged)
    assert (archive.quarantined, record.events) == ([], [])


@pytest.mark.parametrize(
    ("outcome", "reasons"),
    [pytest.param("unmatched", ["unmatched"], id="listed"), pytest.param("recorded", [], id="other")],
)
def test_a_callback_with_a_listed_outcome_is_quarantined(outcome: str, reasons: list[str]) -> None:
    archive = InMemoryCallbackArchive()
    quarantine = a_quarantine(archive, outcomes=frozenset({"unmatched"}))

    an_endpoint(Recorder(outcome), quarantine).receive(READABLE)

    assert [reason for _, reason, _ in archive.quarantined] == reasons


def test_every_callback_is_quarantined_if_the_webhook_says_so() -> None:
    archive, record = InMemoryCallbackArchive(), Recorder()

    an_endpoint(record, a_quarantine(archive, every_callback=True)).receive(READABLE)

    assert [callback.body for callback, _, _ in archive.quarantined] == [b"event=e1"]
    assert record.events == ["e1"]


def _refuse(event: str) -> str:
    raise StoreRefusedError("record report: ValidationException")


@pytest.mark.parametrize("every_callback", [False, True])
def test_a_callback_that_the_table_refuses_is_quarantined(every_callback: bool) -> None:
    archive = InMemoryCallbackArchive()

    received = an_endpoint(_refuse, a_quarantine(archive, every_callback=every_callback)).receive(READABLE)

    assert received.reply.status == HTTPStatus.OK
    assert archive.quarantined[-1][1] == "refused"


def test_a_refused_callback_that_cannot_be_kept_is_an_error() -> None:
    with pytest.raises(StoreUnavailableError):
        an_endpoint(_refuse, a_quarantine(down(InMemoryCallbackArchive))).receive(READABLE)


def test_an_event_is_recorded_although_its_raw_callback_cannot_be_kept() -> None:
    record = Recorder()

    with pytest.raises(StoreUnavailableError):
        an_endpoint(record, a_quarantine(down(InMemoryCallbackArchive), every_callback=True)).receive(READABLE)
    assert record.events == ["e1"]


def test_a_raw_callback_is_kept_although_its_event_cannot_be_recorded() -> None:
    archive = InMemoryCallbackArchive()

    with pytest.raises(StoreUnavailableError):
        an_endpoint(Recorder(is_down=True), a_quarantine(archive, every_callback=True)).receive(READABLE)
    assert len(archive.quarantined) == 1


@pytest.mark.parametrize(
    ("outcome", "is_logged"),
    [pytest.param("recorded", True, id="ours"), pytest.param("unmatched", False, id="unknown")],
)
def test_an_id_is_logged_only_if_it_is_ours(outcome: str, *, is_logged: bool, caplog: pytest.LogCaptureFixture) -> None:
    an_endpoint(Recorder(outcome), a_quarantine(InMemoryCallbackArchive())).receive(READABLE)

    [line] = [record for record in caplog.records if record.getMessage() == "event"]
    assert (getattr(line, "event", None) == "e1") is is_logged


def test_a_refused_callback_is_counted_and_its_body_is_not_read() -> None:
    forged = replace(request_for("forged"), body=cast("bytes", None))

    with pytest.raises(WebhookForbiddenError):
        an_endpoint(Recorder(), a_quarantine(InMemoryCallbackArchive())).receive(forged)

    assert metrics.metric_set == {Metric.CALLBACKS_REFUSED: {"Unit": "Count", "StorageResolution": 60, "Value": [1.0]}}


@pytest.mark.parametrize(
    ("outcome_metrics", "outcomes"),
    [
        pytest.param(DELIVERY_REPORT_OUTCOMES, {*ReportOutcome, "quarantined", "refused"}, id="delivery reports"),
        pytest.param(IVR_CALL_OUTCOMES, {*IvrCallMatch, "quarantined", "refused"}, id="IVR calls"),
        pytest.param(CALL_RESULT_OUTCOMES, {*ResultOutcome, "quarantined", "refused"}, id="call results"),
        pytest.param(CALL_ACTION_OUTCOMES, {*JobOutcome, "quarantined", "refused"}, id="call actions"),
    ],
)
def test_every_outcome_has_a_metric(outcome_metrics: Mapping[str, Metric], outcomes: set[str]) -> None:
    assert set(outcome_metrics) == outcomes

"""The one endpoint of all webhooks: who may call it, how parameters are read, and where callbacks go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from switchboard.domain.errors import (
    ConfigurationError,
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
    BODY_LIMIT_BYTES,
    Quarantine,
    WebhookEndpoint,
    authenticate,
    read_params,
)
from switchboard.ports.callbacks import CallbackArchive
from switchboard.ports.verifications import IvrCallMatch
from switchboard.storage.aws import CachedSecret
from switchboard.usecases.sms.record_report import ReportOutcome
from switchboard.usecases.voice_call.record_result import ResultOutcome
from tests.events import load_event, with_query
from tests.fakes import START, FixedClock, InMemoryCallbackArchive, down
from tests.strategies import any_text

FORM = "mediasms_delivery_webhook", "post_form_utf8"
TOKENS = ("first-live-token", "second-live-token", "三つ目")


def request_for(token: str, body: str = "") -> InboundRequest:
    return InboundRequest.from_event({"pathParameters": {"token": token}, "body": body})


def opens(token: str, tokens: Sequence[str] = TOKENS) -> bool:
    try:
        authenticate(request_for(token), live_tokens=lambda: list(tokens))
    except WebhookForbiddenError:
        return False
    return True


def params_of(*, body: bytes = b"", query: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    return dict(read_params(InboundRequest.from_event(with_query(load_event(*FORM, body=body), *query))))


# Authentication


@pytest.mark.parametrize("token", TOKENS)
def test_each_live_token_opens(token: str) -> None:
    assert opens(token)


@given(any_text())
def test_any_other_token_opens_nothing(token: str) -> None:
    assert opens(token) == (token in TOKENS)


@pytest.mark.parametrize("token", TOKENS)
def test_a_part_or_an_extension_of_a_token_opens_nothing(token: str) -> None:
    near = {token[:length] for length in range(len(token))} | {token[length:] for length in range(1, len(token) + 1)}
    near |= {token + "x", "x" + token, token + "\x00", token + " ", token.upper(), token.encode().hex()}

    assert not any(opens(candidate) for candidate in near - {token})


def test_two_live_tokens_together_open_nothing() -> None:
    assert not opens("".join(TOKENS))
    assert not opens(",".join(TOKENS))
    assert not opens(str(list(TOKENS)))


class CountedToken(str):
    """A token that records when it is encoded for the comparison."""

    __slots__ = ()
    seen: ClassVar[list[str]] = []

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        self.seen.append(str(self))
        return super().encode(encoding, errors)


@pytest.mark.parametrize("token", ["first", "second", "third", "none of them"])
def test_every_live_token_is_compared_even_after_a_match(token: str) -> None:
    CountedToken.seen.clear()
    tokens = [CountedToken(live) for live in ("first", "second", "third")]

    opens(token, tokens)

    assert CountedToken.seen == ["first", "second", "third"]


@pytest.mark.parametrize(
    "tokens",
    [
        pytest.param([], id="empty list"),
        pytest.param(None, id="null"),
        pytest.param("first", id="text"),
        pytest.param({"first": 1}, id="object"),
        pytest.param(5, id="number"),
        pytest.param([""], id="empty token"),
        pytest.param(["first", ""], id="token and empty token"),
        pytest.param(["first", None], id="token and null"),
        pytest.param(["first", 5], id="token and number"),
        pytest.param([["first"]], id="list in a list"),
    ],
)
@pytest.mark.parametrize("token", ["", "f", "first", "5", "None"])
def test_a_secret_without_a_list_of_tokens_opens_nothing(tokens: Any, token: str) -> None:
    with pytest.raises(ConfigurationError):
        authenticate(request_for(token), live_tokens=lambda: tokens)


@mock_aws
def test_a_rotated_token_counts_once_the_secret_has_aged() -> None:
    client = boto3.client("secretsmanager", region_name="ap-northeast-1")
    client.create_secret(Name="tokens", SecretString=json.dumps({"tokens": ["old", "both"]}))
    now = [1000.0]
    secret = CachedSecret(client=lambda: client, name="tokens", monotonic=lambda: now[0], max_age_s=300)

    def is_live(token: str) -> bool:
        return opens(token, secret().values["tokens"])

    assert (is_live("old"), is_live("both"), is_live("new")) == (True, True, False)
    client.put_secret_value(SecretId="tokens", SecretString=json.dumps({"tokens": ["both", "new"]}))
    now[0] += 299
    assert (is_live("old"), is_live("both"), is_live("new")) == (True, True, False)
    now[0] += 2
    assert (is_live("old"), is_live("both"), is_live("new")) == (False, True, True)


# Parameters

_PAIRS = st.dictionaries(
    st.sampled_from(["smsid", "status", "mobilenumber", "a"]), st.text("09a日本語ｱ+&=%;{ ", max_size=12)
)


@given(_PAIRS)
def test_query_form_and_json_give_the_same_parameters(pairs: dict[str, str]) -> None:
    from_query = params_of(query=list(pairs.items()))

    assert from_query == pairs
    assert params_of(body=urlencode(pairs).encode()) == pairs
    assert params_of(body=json.dumps(pairs).encode()) == pairs
    assert params_of(body=json.dumps(pairs, ensure_ascii=False).encode()) == pairs
    assert params_of(body=b"\xef\xbb\xbf" + json.dumps(pairs).encode()) == pairs


@pytest.mark.parametrize("number", ["1563433858.60", "21061600000268000060", "0", "-1.50", "1e5"])
def test_a_number_without_quotes_is_read_as_it_is_written(number: str) -> None:
    assert params_of(body=f'{{"ID": {number}}}'.encode()) == {"id": number}


@pytest.mark.parametrize("text", ["送信済", "ドコモ圏外・OFF", "ａｕ 圏外･ＯＦＦ", "①㈱髙", "ｱｲｳ"])
@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(lambda text: urlencode({"status": text}).encode(), id="utf-8"),
        pytest.param(lambda text: urlencode({"status": text}, encoding="cp932").encode(), id="shift_jis"),
        pytest.param(lambda text: b"status=" + text.encode(), id="raw utf-8"),
        pytest.param(lambda text: b"status=" + text.encode("cp932"), id="raw shift_jis"),
        pytest.param(
            lambda text: json.dumps({"status": text}, ensure_ascii=False).encode("cp932"), id="shift_jis json"
        ),
    ],
)
def test_japanese_is_read_in_both_code_pages(text: str, encode: Callable[[str], bytes]) -> None:
    assert params_of(body=encode(text)) == {"status": text}


def test_names_are_read_in_any_case_and_numbers_as_text() -> None:
    assert params_of(body=b'{"SmsId": "a", " STATUS ": 1, "x": null, "y": 1.5}') == {
        "smsid": "a",
        "status": "1",
        "x": "",
        "y": "1.5",
    }


def test_an_empty_value_is_a_value() -> None:
    assert params_of(body=b"smsid=&status") == {"smsid": "", "status": ""}


@pytest.mark.parametrize(
    ("query", "body"),
    [
        pytest.param([("a", "1"), ("a", "2")], b"", id="query"),
        pytest.param([("a", "1"), ("A", "2")], b"", id="query in two cases"),
        pytest.param([("a", "1")], b"a=2", id="query and form"),
        pytest.param([], b"a=1&a=2", id="form"),
        pytest.param([], b'{"a": "1", "a": "2"}', id="json"),
        pytest.param([], b'{"a": "1", "A": "2"}', id="json in two cases"),
    ],
)
def test_two_values_for_one_name_are_unreadable(query: list[tuple[str, str]], body: bytes) -> None:
    with pytest.raises(WebhookUnreadableError):
        params_of(query=query, body=body)


def test_the_same_value_twice_is_one_value() -> None:
    assert params_of(query=[("a", "1"), ("A", "1")], body=b"a=1") == {"a": "1"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x81", id="half a character"),
        pytest.param(b"status=\x81", id="half a character in a form"),
        pytest.param(b"status=%81&smsid=a", id="half an escaped character"),
        pytest.param(b"status=%E9%80%81&name=%93%FA%81", id="two code pages"),
        pytest.param(b'{"a": ', id="broken json"),
        pytest.param(b'{"a": [1]}', id="json list"),
        pytest.param(b'{"a": {"b": 1}}', id="nested json"),
        pytest.param(b'{"a": true}', id="json boolean"),
        pytest.param(b'{"a":' * 10_000, id="deeply nested json"),
        pytest.param(b'{"a": ' + b"9" * 5_000 + b"}", id="json number of 5,000 digits"),
        pytest.param(b"&".join([b"a=1"] * 200), id="200 fields"),
        pytest.param(b"x" * (BODY_LIMIT_BYTES + 1), id="too large"),
    ],
)
def test_a_body_in_no_known_form_is_unreadable(body: bytes) -> None:
    with pytest.raises(WebhookUnreadableError):
        params_of(body=body)


@given(st.binary(max_size=200))
def test_any_body_is_read_or_unreadable(body: bytes) -> None:
    try:
        params = params_of(body=body)
    except WebhookUnreadableError:
        return
    assert all(isinstance(value, str) for pair in params.items() for value in pair)


# Where callbacks go


@dataclass(frozen=True, slots=True)
class _Secret:
    values: Mapping[str, Any] = field(default_factory=lambda: {"tokens": list(TOKENS)})


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


def parse(params: Mapping[str, str]) -> str:
    if "event" not in params:
        raise WebhookUnreadableError("no event")
    return params["event"]


def an_endpoint(record: Callable[[str], str], quarantine: Quarantine | None) -> WebhookEndpoint[str]:
    return WebhookEndpoint(
        subject="event",
        secret=_Secret,
        parse=parse,
        record=record,
        log_fields=lambda event: {"event": event},
        outcome_metrics={
            "recorded": Metric.CALL_RESULTS_RECORDED,
            "unmatched": Metric.CALL_RESULTS_UNMATCHED,
            "quarantined": Metric.CALL_RESULTS_QUARANTINED,
            "refused": Metric.CALLBACKS_UNSTORABLE,
        },
        reply=Reply(HTTPStatus.OK, "OK"),
        quarantine=quarantine,
    )


def a_quarantine(archive: CallbackArchive, **options: Any) -> Quarantine:
    return Quarantine(archive=archive, clock=FixedClock(), route="route", **options)


READABLE = request_for(TOKENS[0], "event=e1")
UNREADABLE = request_for(TOKENS[0], "other=e1")


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


def test_without_a_quarantine_an_unreadable_callback_is_an_error() -> None:
    with pytest.raises(WebhookUnreadableError, match="no event"):
        an_endpoint(Recorder(), None).receive(UNREADABLE)


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
    ("outcome_metrics", "outcomes"),
    [
        pytest.param(DELIVERY_REPORT_OUTCOMES, {*ReportOutcome, "quarantined", "refused"}, id="delivery reports"),
        pytest.param(IVR_CALL_OUTCOMES, {*IvrCallMatch, "quarantined", "refused"}, id="IVR calls"),
        pytest.param(CALL_RESULT_OUTCOMES, {*ResultOutcome, "quarantined", "refused"}, id="call results"),
        pytest.param(CALL_ACTION_OUTCOMES, {"announced", "repeated"}, id="call actions"),
    ],
)
def test_every_outcome_has_a_metric(outcome_metrics: Mapping[str, Metric], outcomes: set[str]) -> None:
    assert set(outcome_metrics) == outcomes

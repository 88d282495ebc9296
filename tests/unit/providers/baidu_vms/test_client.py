"""Baidu VMS' client sends what the document describes, always the same bytes, and reports only certain outcomes."""

from __future__ import annotations

import json
import logging
import traceback
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
from baidubce.auth import bce_v1_signer
from baidubce.auth.bce_credentials import BceCredentials

from switchboard.domain.errors import (
    AuthenticationFailedError,
    ConfigurationError,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    ProviderBusyError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    RefusedError,
    UnexpectedAnswerError,
)
from switchboard.domain.voice_calls import VoiceCallContent, VoiceCallSubmission
from switchboard.ports.providers import Receipt, Submitter
from switchboard.providers.baidu_vms.client import BaiduVmsClient, PreparedRequest
from switchboard.providers.baidu_vms.signer import Credentials
from switchboard.providers.transport import Connection
from tests.fakes import START, FixedClock
from tests.fault_proxy import Ending, Fault, FaultProxy, ScriptedServer
from tests.ids import describe_row

KEY_ID, SECRET, SESSION = "canary-id", "canary-secret", "canary/session="
KEY = Credentials(access_key_id=KEY_ID, secret_access_key=SECRET)
RECIPIENT = "+8613000000001"
CONTENT = VoiceCallContent(template_id="123", variables={"name": "canary-值"}, tag="test")
TOKEN = "be31b98c/a+b~1"
AHEAD = timedelta(minutes=40)


def answer(status: int, fields: dict[str, str] | None = None, *headers: str) -> bytes:
    """Write an answer after which both sides close the connection."""
    body = b"" if fields is None else json.dumps(fields).encode()
    lines = [f"HTTP/1.1 {status} X", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refusal(status: int, code: str, message: str = "canary-message", *headers: str) -> bytes:
    return answer(status, {"code": code, "message": message, "requestId": " r1"}, *headers)


ACCEPTED = answer(
    200, {"callId": "c1", "userDefinedTag": "test", "dateCreate": "2018-06-12T12:00:00Z", "showNum": "12345678"}
)
LOST = b""
FULL = refusal(429, "QueueFull")
BROKEN = answer(503)
EXPIRED = refusal(400, "RequestExpired", "Request has expired.", f"Date: {format_datetime(START + AHEAD, usegmt=True)}")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(ACCEPTED, then_close=True) as running:
        yield running


OPENED: list[BaiduVmsClient] = []


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def client_for(port: int, **options: object) -> BaiduVmsClient:
    origin = f"http://127.0.0.1:{port}"
    defaults: dict[str, object] = {
        "base_url": origin,
        "credentials": lambda: KEY,
        "clock": FixedClock(),
        "connection": Connection(
            origin=origin, provider="baidu_vms", allow_plain_http=True, connect_timeout_s=5.0, deadline_s=20.0
        ),
        "allow_plain_http": True,
    }
    client = BaiduVmsClient(**defaults | options)  # type: ignore[arg-type]
    OPENED.append(client)
    return client


def script_answers(server: ScriptedServer, *answers: bytes) -> Callable[[], Credentials]:
    """Build credentials that set the server's next answer. The client reads them once before each request."""
    script = iter(answers)

    def credentials() -> Credentials:
        server.answer = next(script)
        return KEY

    return credentials


def submission(client: BaiduVmsClient, content: VoiceCallContent = CONTENT) -> VoiceCallSubmission:
    return VoiceCallSubmission(token=TOKEN, body=client.compose(RECIPIENT, content))


def submit(client: BaiduVmsClient, call: VoiceCallSubmission | None = None) -> Receipt:
    return client.submit(client.prepare(call or submission(client)))


def submit_once(port: int, **options: object) -> Receipt:
    return submit(client_for(port, **options))


@dataclass(frozen=True)
class SentRequest:
    """A request that the server received."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]


def parse(request: bytes) -> SentRequest:
    head, _, body = request.partition(b"\r\n\r\n")
    line, *header_lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in header_lines)}
    return SentRequest(line, headers, body)


def test_a_call_is_posted_as_json_under_its_token(server: ScriptedServer) -> None:
    client = client_for(server.port)
    submitter: Submitter[VoiceCallSubmission, PreparedRequest] = client
    prepared = submitter.prepare(submission(client))
    submitter.open()
    receipt = submitter.submit(prepared)
    assert receipt.provider_code is None
    created_at = "2018-06-12T12:00:00.000Z"
    assert receipt.facts == {"call_id": "c1", "show_number": "12345678", "tag": "test", "created_at": created_at}
    request = parse(server.requests[0])
    assert request.line == "POST /v1/call?clientToken=be31b98c%2Fa%2Bb~1 HTTP/1.1"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert json.loads(request.body) == {
        "calledNumber": "13000000001",
        "type": 0,
        "voiceMessageTemplateId": "123",
        "voiceMessageVar": "name=canary-值",
        "userDefinedTag": "test",
    }


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")
@pytest.mark.parametrize("session", [None, SESSION])
@pytest.mark.parametrize("send_client_token", [True, False])
def test_a_request_has_the_signature_of_the_providers_sdk(
    server: ScriptedServer, session: str | None, send_client_token: bool
) -> None:
    credentials = replace(KEY, session_token=session)
    submit_once(
        server.port, credentials=lambda: credentials, send_client_token=send_client_token, signature_lifetime_s=600
    )
    request = parse(server.requests[0])
    parts = urlsplit(request.target)
    signed = [b"host", b"x-bce-date"] + ([b"x-bce-security-token"] if session else [])
    expected = bce_v1_signer.sign(
        BceCredentials(KEY_ID, SECRET),
        b"POST",
        parts.path.encode(),
        {name.encode(): value.encode() for name, value in request.headers.items()},
        {name.encode(): value.encode() for name, value in parse_qsl(parts.query)},
        timestamp=timegm(START.utctimetuple()),
        expiration_in_seconds=600,
        headers_to_sign=signed,
    )
    assert request.headers["authorization"] == expected.decode()
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert {name for name in request.headers if name.startswith("x-bce-")} == {
        name.decode() for name in signed if name.startswith(b"x-bce-")
    }


def test_the_client_token_can_be_left_out(server: ScriptedServer) -> None:
    submit_once(server.port, send_client_token=False)
    assert parse(server.requests[0]).target == "/v1/call"


def test_a_composed_body_is_sent_unchanged(server: ScriptedServer) -> None:
    client = client_for(server.port)
    body = client.compose(RECIPIENT, CONTENT).replace(",", ", ")
    submit(client, VoiceCallSubmission(token="a1", body=body))
    assert parse(server.requests[0]).body == body.encode()


def test_an_invalid_call_is_refused_under_our_field_names(server: ScriptedServer) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        client_for(server.port).compose("+15550000001", replace(CONTENT, volume=21, variables={"name": "a&b"}))
    assert [problem.field for problem in refused.value.problems] == ["to", "volume", "variables.name"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"token": ""}, "token"),
        ({"token": "a" * 65}, "token"),
        ({"token": "a b"}, "token"),
        ({"token": "é"}, "token"),
        ({"token": "a\r\nx: y"}, "token"),
        ({"body": ""}, "body"),
        ({"body": "{}"}, "body"),
        ({"body": '{"calledNumber":"13000000001"}'}, "body"),
    ],
    ids=describe_row,
)
def test_a_submission_that_was_not_composed_is_refused(
    server: ScriptedServer, changed: dict[str, str], field: str
) -> None:
    client = client_for(server.port)
    wrong = replace(submission(client), **changed)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError) as refused:
        client.prepare(wrong)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert server.connections == 0


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (refusal(403, "InvalidAccessKeyId"), AuthenticationFailedError),
        (refusal(403, "OptInRequired"), QuotaExceededError),
        (FULL, ProviderBusyError),
        (refusal(400, "IllegalNumber"), RefusedError),
        (refusal(500, "InternalError"), OutcomeUnknownError),
        (BROKEN, UnexpectedAnswerError),
        (answer(200), UnexpectedAnswerError),
        (answer(302), UnexpectedAnswerError),
    ],
    ids=["key", "opt-in", "full", "number", "internal error", "503", "no body", "redirect"],
)
@pytest.mark.parametrize("rely_on_client_token", [False, True])
def test_a_failure_is_repeated_only_with_a_relied_on_token(
    server: ScriptedServer, whole: bytes, expected: type[ProviderError], rely_on_client_token: bool
) -> None:
    server.answer = whole
    with pytest.raises(expected) as failed:
        submit_once(server.port, rely_on_client_token=rely_on_client_token)
    assert type(failed.value) is expected
    assert (failed.value.provider, failed.value.operation) == ("baidu_vms", "place_call")
    repeats = rely_on_client_token and whole in (FULL, BROKEN, refusal(500, "InternalError"))
    assert len(server.requests) == (4 if repeats else 1)


@pytest.mark.parametrize(
    "first",
    [LOST, FULL, BROKEN, refusal(500, "InternalError"), answer(502), answer(504)],
    ids=["lost", "full", "503", "500", "502", "504"],
)
def test_a_relied_on_token_repeats_the_same_bytes(server: ScriptedServer, first: bytes) -> None:
    clock = FixedClock()
    credentials = script_answers(server, first, FULL, first, ACCEPTED)
    client = client_for(server.port, credentials=credentials, clock=clock, rely_on_client_token=True)
    assert submit(client).facts["call_id"] == "c1"
    requests = [parse(request) for request in server.requests]
    assert len({(request.line, request.body) for request in requests}) == 1
    dates = [request.headers["x-bce-date"] for request in requests]
    assert dates == sorted(dates)
    assert len(requests) == 4
    assert clock.now() == START + timedelta(seconds=2.1)


def test_a_lost_answer_without_a_relied_on_token_is_not_repeated(server: ScriptedServer) -> None:
    server.answer = LOST
    with pytest.raises(OutcomeUnknownError):
        submit_once(server.port)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "then",
    [refusal(400, "IllegalNumber"), refusal(403, "InvalidAccessKeyId"), FULL, EXPIRED],
    ids=["number", "key", "full", "expired"],
)
@pytest.mark.parametrize("first", [LOST, BROKEN], ids=["lost", "503"])
def test_a_refusal_after_a_lost_answer_stays_unknown(server: ScriptedServer, first: bytes, then: bytes) -> None:
    credentials = script_answers(server, first, *[then] * 4)
    with pytest.raises(OutcomeUnknownError):
        submit_once(server.port, credentials=credentials, rely_on_client_token=True)
    assert len(server.requests) >= 2


def test_a_closed_port_after_a_lost_answer_stays_unknown(server: ScriptedServer) -> None:
    server.answer = LOST
    with FaultProxy(server.port) as proxy:
        client = client_for(proxy.port, rely_on_client_token=True, clock=ClosingClock(proxy))
        with pytest.raises(OutcomeUnknownError):
            submit(client)
    assert len(server.requests) == 1


class ClosingClock(FixedClock):
    """A clock that stops the proxy while the client waits."""

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__()
        self._proxy = proxy

    def sleep_until(self, instant: datetime) -> None:
        self._proxy.__exit__(None, None, None)
        super().sleep_until(instant)


@pytest.mark.parametrize(("budget_ms", "requests"), [(0, 1), (300, 1), (301, 2), (901, 3), (2101, 4), (60_000, 4)])
def test_a_request_is_not_repeated_after_the_retry_budget(
    server: ScriptedServer, budget_ms: int, requests: int
) -> None:
    server.answer = FULL
    with pytest.raises(RateLimitedError):
        submit_once(server.port, rely_on_client_token=True, retry_budget=timedelta(milliseconds=budget_ms))
    assert len(server.requests) == requests


def test_a_token_is_not_used_from_not_after_on(server: ScriptedServer) -> None:
    server.answer = FULL
    client = client_for(server.port, rely_on_client_token=True)
    for not_after, error in ((START, NotSentError), (START + timedelta(milliseconds=300), RateLimitedError)):
        with pytest.raises(error):
            submit(client, replace(submission(client), not_after=not_after))
    assert len(server.requests) == 1


def test_an_expired_signature_is_renewed_by_the_providers_clock(
    server: ScriptedServer,
) -> None:
    clock = FixedClock()
    client = client_for(server.port, clock=clock, credentials=script_answers(server, EXPIRED, ACCEPTED, ACCEPTED))
    submit(client)
    clock.advance(timedelta(hours=1))
    submit(client)
    first, second, third = (parse(request) for request in server.requests)
    assert (first.line, first.body) == (second.line, second.body)
    assert [request.headers["x-bce-date"] for request in (first, second, third)] == [
        "2026-11-22T03:04:05Z",
        "2026-11-22T03:44:05Z",
        "2026-11-22T04:44:05Z",
    ]
    assert second.headers["authorization"] != first.headers["authorization"]


def test_a_signature_that_stays_expired_was_not_accepted(server: ScriptedServer) -> None:
    server.answer = EXPIRED
    for rely in (False, True):
        with pytest.raises(ProviderError) as failed:
            submit_once(server.port, rely_on_client_token=rely)
        assert failed.value.outcome_known
        assert (failed.value.provider_code, failed.value.request_id) == ("RequestExpired", "r1")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("date", "x_bce_date"),
    [
        ("Date: Sun, 22 Nov 2026 02:04:05 GMT", "2026-11-22T02:04:05Z"),
        ("Date: Sun, 22 Nov 2026 02:04:05 -0000", "2026-11-22T02:04:05Z"),
        ("Date: Sun, 22 Nov 2026 11:04:05 +0800", "2026-11-22T03:04:05Z"),
        ("Date: yesterday", "2026-11-22T03:04:05Z"),
        ("Date: Sun, 22 Nov 99999 02:04:05 GMT", "2026-11-22T03:04:05Z"),
        ("Date: Thu, 01 Jan 1970 00:00:00 GMT", "2026-11-22T03:04:05Z"),
        ("X-Other: 1", "2026-11-22T03:04:05Z"),
    ],
)
def test_an_unusable_date_header_changes_nothing(server: ScriptedServer, date: str, x_bce_date: str) -> None:
    expired = refusal(400, "RequestExpired", "m", date)
    submit_once(server.port, credentials=script_answers(server, expired, ACCEPTED))
    assert parse(server.requests[1]).headers["x-bce-date"] == x_bce_date


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_request_cut_at_any_byte_has_an_unknown_outcome(server: ScriptedServer, ending: Ending) -> None:
    submit_once(server.port)
    with FaultProxy(server.port) as proxy:
        for passed in range(len(server.requests[0])):
            proxy.fault = Fault(request_bytes=passed, ending=ending)
            assert outcome_through(proxy) is OutcomeUnknownError
    assert len(server.requests) == 1


CHUNKED = (
    b'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n00f\r\n{"callId":"c1"}\r\n0\r\n\r\n'
)


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize(
    "whole",
    [ACCEPTED, refusal(400, "IllegalNumber", "m"), refusal(429, "QueueFull", "m"), CHUNKED],
    ids=["200", "400", "429", "chunked"],
)
def test_an_answer_cut_at_any_byte_has_an_unknown_outcome(server: ScriptedServer, whole: bytes, ending: Ending) -> None:
    server.answer = whole
    with FaultProxy(server.port) as proxy:
        for passed in range(len(whole)):
            proxy.fault = Fault(response_bytes=passed, ending=ending)
            assert outcome_through(proxy) is OutcomeUnknownError
        proxy.fault = Fault()
        assert outcome_through(proxy) is not OutcomeUnknownError


def test_an_undelimited_answer_needs_its_last_brace(server: ScriptedServer) -> None:
    server.answer = b'HTTP/1.0 200 OK\r\n\r\n{"callId":"c1","dateCreate":"2018-06-12"}'
    with FaultProxy(server.port) as proxy:
        for passed in range(len(server.answer)):
            proxy.fault = Fault(response_bytes=passed)
            assert outcome_through(proxy) in (OutcomeUnknownError, UnexpectedAnswerError)
        proxy.fault = Fault()
        assert outcome_through(proxy) is None


def outcome_through(proxy: FaultProxy) -> type[ProviderError] | None:
    """Return the error's class, or None if the call was accepted."""
    try:
        submit_once(proxy.port)
    except ProviderError as error:
        return type(error)
    return None


@pytest.mark.parametrize("rely_on_client_token", [False, True])
def test_a_closed_port_means_not_sent(rely_on_client_token: bool) -> None:
    with ScriptedServer() as gone:
        port = gone.port
    client = client_for(port, rely_on_client_token=rely_on_client_token)
    with pytest.raises(NotSentError):
        client.open()
    with pytest.raises(NotSentError) as unsent:
        submit(client)
    assert unsent.value.operation == "place_call"


def test_credentials_are_read_before_each_request(server: ScriptedServer) -> None:
    keys = iter(["one", "two"])
    client = client_for(
        server.port, credentials=lambda: Credentials(access_key_id=next(keys), secret_access_key=SECRET)
    )
    submit(client)
    submit(client)
    assert [parse(request).headers["authorization"].split("/")[1] for request in server.requests] == ["one", "two"]


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "https://elsewhere.invalid"},
        {"base_url": "http://127.0.0.1:1/v1/call"},
        {"allow_plain_http": False},
        {"send_client_token": False, "rely_on_client_token": True},
        {"signature_lifetime_s": 0},
    ],
    ids=["another origin", "a path", "plain http", "an unsent token", "no lifetime"],
)
def test_contradictory_options_are_a_configuration_error(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        client_for(1, **options)


def test_the_default_endpoint_is_the_documents() -> None:
    client = BaiduVmsClient(credentials=lambda: KEY, clock=FixedClock())
    assert client.compose(RECIPIENT, CONTENT).startswith('{"calledNumber":"13000000001"')


@pytest.mark.parametrize(
    "bad",
    [LOST, refusal(400, "IllegalNumber"), refusal(400, "13000000001"), b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n"],
    ids=["lost", "refusal", "number as code", "broken header"],
)
def test_errors_and_logs_hold_no_secret_number_or_text(caplog: pytest.LogCaptureFixture, bad: bytes) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = replace(KEY, session_token=SESSION)
    with ScriptedServer(bad, then_close=True) as server:
        client = client_for(server.port, credentials=lambda: credentials)
        call = submission(client)
        with pytest.raises(ProviderError) as failed:
            submit(client, call)
        signature = parse(server.requests[0]).headers["authorization"].split("/")[-1]
    text = "".join(traceback.format_exception(failed.value)) + repr(vars(failed.value)) + caplog.text
    text += repr(call) + repr(vars(client))
    for canary in (KEY_ID, SECRET, SESSION, signature, "13000000001", "canary"):
        assert canary not in text

"""MediaSMS' client sends each request once, as the document describes, and reports only certain outcomes."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    ConfigurationError,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
)
from switchboard.domain.sms.messages import SmsContent, SmsSubmission
from switchboard.ports.providers import Receipt, Submitter
from switchboard.providers.mediasms.client import (
    MAX_GET_BYTES,
    Credentials,
    MediaSmsClient,
    PreparedRequest,
    WireVariant,
)
from switchboard.providers.mediasms.parameters import MediaSmsRequest
from switchboard.providers.transport import Connection
from tests.fault_proxy import Ending, Fault, FaultProxy, ScriptedServer

USER, PASSWORD = "canary-user", "canary-pässword"


def answer(code: int, body: bytes | None = None) -> bytes:
    body = str(code).encode() if body is None else body
    return b"HTTP/1.1 %d X\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (code, len(body), body)


ACCEPTED = answer(200)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(ACCEPTED) as running:
        yield running


OPENED: list[MediaSmsClient] = []


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def client_for(port: int, **options: object) -> MediaSmsClient:
    origin = f"http://127.0.0.1:{port}"
    defaults: dict[str, object] = {
        "base_url": f"{origin}/sms/api/?",
        "credentials": lambda: Credentials(user=USER, password=PASSWORD),
        "connection": Connection(
            origin=origin, provider="mediasms", allow_plain_http=True, connect_timeout_s=5.0, deadline_s=20.0
        ),
        "allow_plain_http": True,
    }
    client = MediaSmsClient(**defaults | options)  # type: ignore[arg-type]
    OPENED.append(client)
    return client


def submission(recipient: str = "+819000000001", **content: str) -> SmsSubmission:
    return SmsSubmission(smsid="a1", recipient=recipient, content=SmsContent(**{"text": "canary-text"} | content))


def sent(server: ScriptedServer) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return the one request: its request line, its headers, and its form or query fields."""
    (request,) = server.requests
    head, _, body = request.decode("ascii").partition("\r\n\r\n")
    line, *header_lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in header_lines)}
    query = body or line.split(" ")[1].partition("?")[2]
    return line, headers, dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))


def submit(client: MediaSmsClient, sms: SmsSubmission) -> Receipt:
    return client.submit(client.prepare(sms))


def submit_once(port: int, **options: object) -> Receipt:
    return submit(client_for(port, **options), submission())


def test_an_sms_is_posted_as_a_form_with_basic_credentials(server: ScriptedServer) -> None:
    client: Submitter[SmsSubmission, PreparedRequest] = client_for(server.port)
    prepared = client.prepare(submission(text="認証番号 1&2=3"))
    client.open()
    receipt = client.submit(prepared)
    assert receipt == Receipt(provider_code="200")
    line, headers, fields = sent(server)
    assert line == "POST /sms/api/ HTTP/1.1"
    assert headers["content-type"].startswith("application/x-www-form-urlencoded")
    scheme, _, pair = headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", f"{USER}:{PASSWORD}")
    assert fields == {
        "mobilenumber": "09000000001",
        "smstext": "認証番号 1&2=3",
        "status": "1",
        "smsid": "a1",
        "method": "1",
    }


def test_template_sender_and_carrier_have_the_documents_names(server: ScriptedServer) -> None:
    content = SmsContent(template_id="12", sender="Shop1", carrier="softbank")
    submit(client_for(server.port), SmsSubmission(smsid="a1", recipient="+819000000001", content=content))
    fields = sent(server)[2]
    assert (fields["smstextid"], fields["smstitle"], fields["mobilecareer"]) == ("12", "Shop1", "2")
    assert "smstext" not in fields


@pytest.mark.parametrize(("carrier", "digit"), [("docomo", "1"), ("softbank", "2"), ("au", "3"), ("ymobile", "4")])
def test_each_carrier_has_its_digit(server: ScriptedServer, carrier: str, digit: str) -> None:
    submit(client_for(server.port), submission(carrier=carrier))
    assert sent(server)[2]["mobilecareer"] == digit


@pytest.mark.parametrize(
    "content",
    [{}, {"carrier": "overseas"}],
    ids=["no carrier", "overseas"],
)
def test_a_number_outside_japan_goes_overseas_with_its_country_code(
    server: ScriptedServer, content: dict[str, str]
) -> None:
    submit(client_for(server.port), submission("+15550000001", **content))
    fields = sent(server)[2]
    assert (fields["mobilecareer"], fields["mobilenumber"]) == ("c", "15550000001")


@pytest.mark.parametrize(
    ("recipient", "carrier"),
    [("+15550000001", "docomo"), ("+819000000001", "overseas"), ("+819000000001", "rakuten")],
)
def test_an_impossible_carrier_is_refused(server: ScriptedServer, recipient: str, carrier: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        submit(client_for(server.port), submission(recipient, carrier=carrier))
    assert [problem.field for problem in refused.value.problems] == ["carrier"]
    assert server.connections == 0


def test_reports_can_be_declined(server: ScriptedServer) -> None:
    submit(client_for(server.port, request_reports=False), submission())
    assert sent(server)[2]["status"] == "0"


def test_au_gets_its_own_long_text(server: ScriptedServer) -> None:
    submit(client_for(server.port, long_text=True), submission(text="あ" * 200, text_au="い" * 100))
    fields = sent(server)[2]
    assert (fields["smstext"], fields["smstext2"]) == ("あ" * 200, "い" * 100)


@pytest.mark.parametrize(
    ("variant", "wire"),
    [
        ("jis", "\u301c\u2212\u2016\u00a2\u00a3\u00ac\u2015\uffe5"),
        ("ms932", "\uff5e\uff0d\u2225\uffe0\uffe1\uffe2\u2015\uffe5"),
    ],
    ids=["jis", "ms932"],
)
@pytest.mark.parametrize(
    "text",
    ["\u301c\u2212\u2016\u00a2\u00a3\u00ac\u2015\uffe5", "\uff5e\uff0d\u2225\uffe0\uffe1\uffe2\u2014\u00a5"],
    ids=["JIS spelling", "Microsoft spelling"],
)
def test_look_alikes_have_the_configured_spelling(
    server: ScriptedServer, variant: WireVariant, wire: str, text: str
) -> None:
    submit(client_for(server.port, wire_variant=variant), submission(text=text))
    assert sent(server)[2]["smstext"] == wire


def test_a_text_can_be_sent_unchanged(server: ScriptedServer) -> None:
    text = "\uff5e\u301c\u2014か\u3099\r\n"
    submit(client_for(server.port, wire_variant="as_is"), submission(text=text))
    assert sent(server)[2]["smstext"] == text


def test_each_spelling_is_encodable_by_its_converter() -> None:
    sets = {"ms932": "cp932", "jis": "shift_jis"}
    for variant, codec in sets.items():
        with ScriptedServer(ACCEPTED) as server:
            submit(client_for(server.port, wire_variant=variant), submission(text="〜−‖¢£¬―￥"))
            assert sent(server)[2]["smstext"].encode(codec)


def test_a_get_carries_the_same_fields_in_its_query(server: ScriptedServer) -> None:
    submit(client_for(server.port, method="GET"), submission(text="あ b"))
    line, headers, fields = sent(server)
    assert line.startswith("GET /sms/api/?mobilenumber=")
    assert "content-length" not in headers
    assert fields["smstext"] == "あ b"


def test_a_get_up_to_the_documents_length_is_prepared(server: ScriptedServer) -> None:
    client = client_for(server.port, method="GET")

    def with_template(digits: int) -> PreparedRequest:
        request = MediaSmsRequest(mobilenumber="09000000001", smstextid="1" * digits)
        return client.prepare_request(request, operation="try")

    client.submit(with_template(1))
    target = sent(server)[0].split(" ")[1]
    room = MAX_GET_BYTES - len(f"http://127.0.0.1:{server.port}{target}")
    client.submit(with_template(1 + room))
    assert len(server.requests) == 2
    with pytest.raises(InvalidRequestError):
        with_template(2 + room)
    assert len(server.requests) == 2


def test_an_invalid_sms_is_refused_under_our_field_names(server: ScriptedServer) -> None:
    client = client_for(server.port)
    client.prepare(submission(sender="Shop1"))
    with pytest.raises(InvalidRequestError) as refused:
        client.prepare(submission(text="あ" * 71, sender="1"))
    assert {problem.field: problem.code for problem in refused.value.problems} == {
        "text": "too_long",
        "sender": "invalid",
    }
    assert server.connections == 0


def test_an_sms_too_long_for_a_get_is_refused(server: ScriptedServer) -> None:
    template = SmsContent(template_id="1" * MAX_GET_BYTES)
    with pytest.raises(InvalidRequestError):
        client_for(server.port, method="GET").prepare(
            SmsSubmission(smsid="a1", recipient="+819000000001", content=template)
        )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (401, AuthenticationFailedError),
        (503, RateLimitedError),
        (550, RefusedError),
        (557, AddressBlockedError),
        (302, OutcomeUnknownError),
        (502, OutcomeUnknownError),
    ],
)
def test_a_refusal_has_its_class_and_code(server: ScriptedServer, code: int, expected: type[ProviderError]) -> None:
    server.answer = answer(code)
    with pytest.raises(expected) as refused:
        submit_once(server.port)
    error = refused.value
    assert (error.provider, error.operation, error.provider_code) == ("mediasms", "send_sms", str(code))
    assert len(server.requests) == 1


def test_a_200_without_a_code_is_unknown_and_no_code_is_made_up(server: ScriptedServer) -> None:
    server.answer = answer(200, b"<p>welcome</p>")
    with pytest.raises(OutcomeUnknownError) as unknown:
        submit_once(server.port)
    assert unknown.value.provider_code is None


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_request_cut_at_any_byte_has_an_unknown_outcome(server: ScriptedServer, ending: Ending) -> None:
    submit_once(server.port)
    with FaultProxy(server.port) as proxy:
        for passed in range(len(server.requests[0])):
            proxy.fault = Fault(request_bytes=passed, ending=ending)
            assert outcome_through(proxy) is OutcomeUnknownError
    assert len(server.requests) == 1


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize(
    "whole",
    [
        ACCEPTED,
        answer(550),
        answer(503),
        answer(401),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n003\r\n200\r\n0\r\n\r\n",
    ],
    ids=["200", "550", "503", "401", "chunked"],
)
def test_an_answer_cut_at_any_byte_has_an_unknown_outcome(server: ScriptedServer, whole: bytes, ending: Ending) -> None:
    server.answer = whole
    with FaultProxy(server.port) as proxy:
        for passed in range(len(whole)):
            proxy.fault = Fault(response_bytes=passed, ending=ending)
            assert outcome_through(proxy) is OutcomeUnknownError
        proxy.fault = Fault()
        assert outcome_through(proxy) is not OutcomeUnknownError


def test_an_undelimited_answer_needs_its_code(server: ScriptedServer) -> None:
    server.answer, server.then_close = b"HTTP/1.0 200 OK\r\n\r\n200", True
    with FaultProxy(server.port) as proxy:
        for passed in range(len(server.answer)):
            proxy.fault = Fault(response_bytes=passed)
            assert outcome_through(proxy) is OutcomeUnknownError
        proxy.fault = Fault()
        assert outcome_through(proxy) is None


def outcome_through(proxy: FaultProxy) -> type[ProviderError] | None:
    """Return the error's class, or None if the SMS was accepted."""
    try:
        submit_once(proxy.port)
    except ProviderError as error:
        return type(error)
    return None


def test_a_closed_port_means_not_sent(server: ScriptedServer) -> None:
    with ScriptedServer() as gone:
        port = gone.port
    client = client_for(port)
    with pytest.raises(NotSentError):
        client.open()
    with pytest.raises(NotSentError) as unsent:
        submit(client, submission())
    assert unsent.value.operation == "send_sms"


def test_credentials_are_read_before_each_request(server: ScriptedServer) -> None:
    passwords = iter(["one", "two"])
    client = client_for(server.port, credentials=lambda: Credentials(user="u", password=next(passwords)))
    submit(client, submission())
    submit(client, submission())
    sent_pairs = [
        base64.b64decode(request.partition(b"Basic ")[2].partition(b"\r\n")[0]) for request in server.requests
    ]
    assert sent_pairs == [b"u:one", b"u:two"]


@pytest.mark.parametrize(("user", "password"), [("", "p"), ("u:v", "p"), ("u\n", "p"), ("u", "p\r\nX: y")])
def test_unusable_credentials_are_a_configuration_error(user: str, password: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        Credentials(user=user, password=password)
    assert password not in str(wrong.value).split()


def test_another_origin_or_plain_http_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        client_for(1, base_url="https://elsewhere.invalid/sms/api/")
    with pytest.raises(ConfigurationError):
        client_for(1, allow_plain_http=False)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    "bad",
    [b"", answer(550, b"550 canary-text"), b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n"],
    ids=["nothing", "refusal", "broken header"],
)
def test_errors_and_logs_hold_no_secret_number_or_text(
    caplog: pytest.LogCaptureFixture, method: str, bad: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(bad, then_close=True) as server, pytest.raises(ProviderError) as failed:
        submit_once(server.port, method=method)
    text = "".join(traceback.format_exception(failed.value)) + repr(vars(failed.value)) + caplog.text
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for canary in (USER, PASSWORD, pair, "09000000001", "9000000001", "canary"):
        assert canary not in text


def test_the_repr_of_credentials_hides_them() -> None:
    assert "canary" not in repr(Credentials(user=USER, password=PASSWORD))

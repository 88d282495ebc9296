"""A verification is submitted as the document describes, and the simulator's callbacks are parsed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from sandbox.simulators.mediasms import MediaSmsSimulator, SimulatorConfig
from switchboard.domain.errors import InvalidRequestError, NotSentError, ProviderError, RefusedError
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.verification.callbacks import IvrCallEvent, VerificationMode
from switchboard.domain.verification.verifications import VerificationLines, VerificationSubmission
from switchboard.edge.callback_params import ParsedParams
from switchboard.ports.providers import Receipt, Submitter
from switchboard.providers.mediasms.client import Credentials, MediaSmsClient, PreparedRequest
from switchboard.providers.mediasms.verifications import METHODS, MediaSmsVerifications
from switchboard.providers.mediasms.webhooks import parse_delivery_callback, parse_ivr_call
from switchboard.providers.transport import Connection
from tests.customer import Receiver
from tests.fault_proxy import ScriptedServer

UNUSED_PORT = 9
MOBILE, FIXED, LINE = "+819000000001", "+81300000001", "05000000001"
SMS = SmsContent(text="canary-text")
CALL_IN = VerificationSubmission(
    smsid="v1", recipient=MOBILE, mode=VerificationMode.CALL_IN, line=LINE, holding_minutes=10
)
SMS_AND_CALL_IN = replace(CALL_IN, mode=VerificationMode.SMS_AND_CALL_IN, content=SMS)
CALL_OUT = replace(CALL_IN, mode=VerificationMode.CALL_OUT, repeat_calls=3)


def answer(code: int) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\n%d" % (code, code)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(answer(200)) as running:
        yield running


OPENED: list[MediaSmsClient] = []


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def client_for(origin: str, **options: Any) -> MediaSmsClient:
    client = MediaSmsClient(
        base_url=f"{origin}/sms/api/",
        credentials=lambda: Credentials(user="u", password="p"),
        connection=Connection(
            origin=origin, provider="mediasms", allow_plain_http=True, connect_timeout_s=5.0, deadline_s=20.0
        ),
        allow_plain_http=True,
        **options,
    )
    OPENED.append(client)
    return client


def verifications_for(port: int, *, http_method: str = "POST", **options: Any) -> MediaSmsVerifications:
    return MediaSmsVerifications(client=client_for(f"http://127.0.0.1:{port}", method=http_method), **options)


def submit(verifications: MediaSmsVerifications, submission: VerificationSubmission) -> Receipt:
    return verifications.submit(verifications.prepare(submission))


def sent(server: ScriptedServer) -> dict[str, str]:
    """Return the fields of the one request."""
    (request,) = server.requests
    _, _, body = request.decode("ascii").partition("\r\n\r\n")
    return dict(parse_qsl(body, keep_blank_values=True, strict_parsing=True))


def problems_of(submission: VerificationSubmission, **options: Any) -> dict[str, str]:
    """Return the code of every problem of an invalid submission, by its field."""
    with pytest.raises(InvalidRequestError) as refused:
        verifications_for(UNUSED_PORT, **options).prepare(submission)
    return {problem.field: problem.code for problem in refused.value.problems}


@pytest.mark.parametrize(
    ("submission", "fields"),
    [
        (CALL_IN, {"method": "4", "smstext": "verification"}),
        (SMS_AND_CALL_IN, {"method": "2", "smstext": "canary-text"}),
        (CALL_OUT, {"method": "5", "smstext": "verification", "repeatcall": "3"}),
        (replace(CALL_OUT, content=SMS), {"method": "5", "smstext": "canary-text", "repeatcall": "3"}),
    ],
    ids=["call_in", "sms_and_call_in", "call_out", "call_out with a text"],
)
def test_each_mode_has_its_method_line_and_holding_time(
    server: ScriptedServer, submission: VerificationSubmission, fields: dict[str, str]
) -> None:
    verifications: Submitter[VerificationSubmission, PreparedRequest] = verifications_for(server.port)
    prepared = verifications.prepare(submission)
    verifications.open()
    assert verifications.submit(prepared).provider_code == "200"
    assert sent(server) == {
        "mobilenumber": "09000000001", "status": "1", "smsid": "v1", "ipphone": LINE, "holdingtime": "10", **fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "recipient", "career", "number"),
    [
        (VerificationLines.MOBILE, MOBILE, None, "09000000001"),
        (VerificationLines.FIXED, FIXED, "a", "0300000001"),
        (VerificationLines.ANY, FIXED, "b", "0300000001"),
        (VerificationLines.ANY, MOBILE, "b", "09000000001"),
    ],
)
def test_each_kind_of_line_has_its_document_value(
    server: ScriptedServer, lines: VerificationLines, recipient: str, career: str | None, number: str
) -> None:
    submit(verifications_for(server.port), replace(CALL_IN, lines=lines, recipient=recipient))
    fields = sent(server)
    assert (fields.get("mobilecareer"), fields["mobilenumber"]) == (career, number)


def test_template_and_sender_are_sent_with_the_sms(server: ScriptedServer) -> None:
    content = SmsContent(template_id="12", sender="Shop1")
    submit(verifications_for(server.port), replace(SMS_AND_CALL_IN, content=content))
    fields = sent(server)
    assert (fields["smstextid"], fields["smstitle"], fields.get("smstext")) == ("12", "Shop1", None)


def test_the_placeholder_text_can_be_left_out(server: ScriptedServer) -> None:
    submit(verifications_for(server.port, unsent_text=None), CALL_IN)
    assert "smstext" not in sent(server)


@pytest.mark.parametrize(
    ("submission", "problems"),
    [
        (replace(CALL_IN, recipient=FIXED), {"to": "invalid"}),
        (replace(CALL_IN, recipient="+15550000001"), {"to": "invalid"}),
        (replace(CALL_OUT, recipient="+15550000001"), {"to": "invalid"}),
        (replace(CALL_IN, lines=VerificationLines.FIXED), {"lines": "conflict"}),
        (replace(CALL_IN, line="0500000001"), {"line": "invalid"}),
        (replace(CALL_IN, line="+815000000001"), {"line": "invalid"}),
        (replace(CALL_IN, holding_minutes=1000), {"holding_minutes": "invalid"}),
        (replace(CALL_IN, holding_minutes=-1), {"holding_minutes": "invalid"}),
        (replace(CALL_IN, repeat_calls=1), {"repeat_calls": "conflict"}),
        (replace(CALL_OUT, repeat_calls=None), {"repeat_calls": "required"}),
        (replace(CALL_OUT, repeat_calls=100), {"repeat_calls": "invalid"}),
        (replace(CALL_IN, smsid="a-b"), {"smsid": "invalid"}),
        (replace(SMS_AND_CALL_IN, content=None), {"text": "required"}),
        (replace(SMS_AND_CALL_IN, content=SmsContent(text="あ" * 71)), {"text": "too_long"}),
        (replace(SMS_AND_CALL_IN, content=SmsContent(text="a", template_id="1")), {"text": "conflict"}),
        (replace(SMS_AND_CALL_IN, content=SmsContent(text="a", carrier="docomo")), {"carrier": "conflict"}),
        (replace(CALL_IN, content=SmsContent(text_au="a")), {"text": "required"}),
        (
            replace(CALL_OUT, lines=VerificationLines.FIXED, line="1", repeat_calls=None),
            {"lines": "conflict", "line": "invalid", "repeat_calls": "required"},
        ),
    ],
    ids=[
        "fixed line as mobile",
        "overseas call in",
        "overseas call out",
        "mobile as fixed line",
        "short line",
        "line in E.164",
        "long holding time",
        "negative holding time",
        "repetitions of a call in",
        "no repetitions of a call out",
        "too many repetitions",
        "hyphen in the id",
        "no text",
        "long text",
        "text and template",
        "carrier",
        "text for au alone",
        "three problems",
    ],
)
def test_an_invalid_verification_is_refused_under_our_names(
    submission: VerificationSubmission, problems: dict[str, str]
) -> None:
    assert problems_of(submission) == problems


def test_a_verification_too_long_for_a_get_is_refused(server: ScriptedServer) -> None:
    template = replace(SMS_AND_CALL_IN, content=SmsContent(template_id="1" * 8190))
    assert problems_of(template, http_method="GET") == {"text": "too_long"}


@pytest.mark.parametrize("holding_minutes", [0, 999])
def test_a_holding_time_at_the_documents_limit_is_sent(server: ScriptedServer, holding_minutes: int) -> None:
    submit(verifications_for(server.port), replace(CALL_IN, holding_minutes=holding_minutes))
    assert sent(server)["holdingtime"] == str(holding_minutes)


@pytest.mark.parametrize("method", [6, 7])
def test_an_undocumented_method_must_be_allowed(server: ScriptedServer, method: int) -> None:
    methods = {**METHODS, VerificationMode.CALL_OUT: method}
    assert problems_of(CALL_OUT, methods=methods) == {"mode": "not_allowed"}
    submit(verifications_for(server.port, methods=methods, allow_undocumented_methods=True), CALL_OUT)
    fields = sent(server)
    assert (fields["method"], fields.get("smstext")) == (str(method), None)


def test_a_refusal_has_its_code_and_operation(server: ScriptedServer) -> None:
    server.answer = answer(567)
    with pytest.raises(RefusedError) as refused:
        submit(verifications_for(server.port), CALL_IN)
    assert (refused.value.provider_code, refused.value.operation) == ("567", "start_verification")
    assert len(server.requests) == 1


def test_a_closed_port_means_not_sent() -> None:
    with ScriptedServer() as gone:
        port = gone.port
    for attempt in (lambda: verifications_for(port).open(), lambda: submit(verifications_for(port), CALL_IN)):
        with pytest.raises(NotSentError):
            attempt()


def test_no_repr_shows_a_number_a_text_or_a_code() -> None:
    callback = parse_delivery_callback(
        ParsedParams.from_pairs([("smsid", "v1"), ("status", "1"), ("authcode", "314159")])
    )
    ivr_call = parse_ivr_call(
        ParsedParams.from_pairs([("mobilenumber", "09000000001"), ("ipphone", LINE), ("method", "4")])
    )
    text = repr(SMS_AND_CALL_IN) + repr(callback) + repr(ivr_call)
    assert callback.authcode == "314159"
    assert not any(canary in text for canary in ("9000000001", "canary", "314159"))
    with ScriptedServer(b"") as server, pytest.raises(ProviderError) as failed:
        server.then_close = True
        submit(verifications_for(server.port), SMS_AND_CALL_IN)
    assert not any(canary in repr(vars(failed.value)) for canary in ("9000000001", "canary"))


@pytest.fixture
def webhooks() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def simulator(webhooks: Receiver) -> Iterator[MediaSmsSimulator]:
    config = SimulatorConfig(user="u", password="p", ivr_url=webhooks.at("/ivr"), report_url=webhooks.at("/delivery"))
    with MediaSmsSimulator(config, clock=lambda: 100.0, reports_by_hand=True) as running:
        yield running


def start(simulator: MediaSmsSimulator, submission: VerificationSubmission) -> None:
    client = client_for(simulator.url.removesuffix("/sms/api/"))
    assert submit(MediaSmsVerifications(client=client), submission).provider_code == "200"


@pytest.mark.parametrize("style", ["as_asked", "plus_81", "hyphens"])
@pytest.mark.parametrize("smsid", [None, "v1"])
@pytest.mark.parametrize(
    "submission",
    [CALL_IN, SMS_AND_CALL_IN, replace(CALL_IN, recipient=FIXED, lines=VerificationLines.ANY)],
    ids=["call_in", "sms_and_call_in", "fixed line"],
)
def test_an_ivr_callback_in_any_form_names_the_number(
    simulator: MediaSmsSimulator,
    webhooks: Receiver,
    style: str,
    smsid: str | None,
    submission: VerificationSubmission,
) -> None:
    simulator.provider.configure({"ivr_number_style": style, "ivr_with_smsid": smsid is not None})
    start(simulator, submission)
    simulator.provider.exchange.dial("0" + submission.recipient.removeprefix("+81"), LINE)
    simulator.deliver_due()
    ivr_calls = [parse_ivr_call(ParsedParams.from_pairs(fields.items())) for fields in webhooks.fields("/ivr")]
    assert ivr_calls == [IvrCallEvent(recipient=submission.recipient, line=LINE, mode=submission.mode, smsid=smsid)]


def test_the_code_comes_with_the_report_of_the_answered_call(simulator: MediaSmsSimulator, webhooks: Receiver) -> None:
    start(simulator, CALL_OUT)
    simulator.advance(60)
    simulator.deliver_due()
    (request,) = simulator.provider.exchange.requests
    assert request.read_out is not None
    callbacks = [
        parse_delivery_callback(ParsedParams.from_pairs(fields.items())) for fields in webhooks.fields("/delivery")
    ]
    assert [(callback.report.smsid, callback.report.status, callback.authcode) for callback in callbacks] == [
        ("v1", "14", None),
        ("v1", "1", request.read_out),
    ]

"""MediaSMS' result API is read line by line, and its refusals like those of a sending."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnexpectedAnswerError,
)
from switchboard.ports.providers import InquiryAnswer
from switchboard.providers.mediasms.client import Credentials
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.providers.mediasms.results import MediaSmsResults, read_result
from switchboard.providers.transport import Answer, Connection
from tests.fault_proxy import ScriptedServer
from tests.ids import describe_row


def read(
    body: str, *, status: int = 200, delimited: bool = True, encoding: str = "utf-8"
) -> InquiryAnswer | type[ProviderError]:
    answer = Answer(status=status, headers={}, body=body.encode(encoding), delimited=delimited)
    try:
        return read_result(answer, no_such_id_codes=("404", "587"))
    except ProviderError as error:
        assert (error.provider, error.operation) == ("mediasms", "ask_result")
        return type(error)


@pytest.mark.parametrize("status", DELIVERY_STATUSES.rows.values(), ids=lambda status: status.code)
@pytest.mark.parametrize("form", ["200\n{}", "\ufeff200\r\n{}\r\n", "\n 200 \n\n {} \n", "200\n{}\n2026-11-26 10:00"])
def test_the_second_line_is_a_status_by_name_or_number(status: object, form: str) -> None:
    row = DELIVERY_STATUSES.rows[getattr(status, "code", "")]
    assert read(form.format(row.name)) == read(form.format(row.code)) == InquiryAnswer(status=row.code)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_a_name_is_read_in_either_encoding(encoding: str, end: str) -> None:
    assert read(f"200{end}ドコモ圏外・OFF{end}", encoding=encoding) == InquiryAnswer(status="18")


def test_an_unlisted_status_is_kept() -> None:
    assert read("200\n楽天圏外・OFF") == InquiryAnswer(status="楽天圏外・OFF")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("200", UnexpectedAnswerError),
        ('{"result":"200"}', UnexpectedAnswerError),
        ("", UnexpectedAnswerError),
        ("200 送信済", UnexpectedAnswerError),
        ("OK\n送信済", UnexpectedAnswerError),
        ("200\n<html><body>maintenance</body></html>", UnexpectedAnswerError),
        ("200\n送信済<br>", UnexpectedAnswerError),
        ('200\n{"status": "1"}', UnexpectedAnswerError),
        ("200\n\ufffd\ufffd", UnexpectedAnswerError),
        ("200\n" + "済" * 65, UnexpectedAnswerError),
        ("<h1>It works!</h1>\n送信済", UnexpectedAnswerError),
        ('{"result":"404"}', InquiryAnswer(status=None)),
        ("587", InquiryAnswer(status=None)),
        ("ERROR:404", UnexpectedAnswerError),
        ('{"result":"588"}', UnexpectedAnswerError),
        ('{"result":"401"}', AuthenticationFailedError),
        ("ERROR:401", AuthenticationFailedError),
        ('{"result":"555"}', AddressBlockedError),
        ('{"result":"557"}', AddressBlockedError),
        ('{"result":"503"}', RateLimitedError),
        ('{"result":"550"}', RefusedError),
    ],
    ids=describe_row,
)
def test_any_other_answer_gives_no_status(body: str, expected: object) -> None:
    assert read(body) == expected


@pytest.mark.parametrize("status", [302, 404, 500, 502])
def test_a_status_counts_in_a_2xx_only(status: int) -> None:
    assert read("200\n送信済", status=status) is UnexpectedAnswerError
    assert read("404", status=status) == InquiryAnswer(status=None)


def test_a_status_in_no_known_encoding_is_not_made_up() -> None:
    answer = Answer(status=200, headers={}, body=b"200\n\xff\xfe\xa0", delimited=True)
    with pytest.raises(UnexpectedAnswerError):
        read_result(answer, no_such_id_codes=())


def test_an_answer_whose_end_may_be_missing_gives_no_status() -> None:
    assert read("200\nドコモ圏外・O", delimited=False) is OutcomeUnknownError


def test_http_401_is_a_refusal_of_the_credentials_with_any_body() -> None:
    assert read("404", status=401) is AuthenticationFailedError


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n200\n" + "送信済".encode()) as running:
        yield running


def results_at(port: int, *, url: str = "") -> MediaSmsResults:
    origin = f"http://127.0.0.1:{port}"
    return MediaSmsResults(
        url=url or f"{origin}/sms/result/",
        credentials=lambda: Credentials(user="u", password="p"),
        connection=Connection(origin=origin, provider="mediasms", allow_plain_http=True),
        no_such_id_codes=("404",),
        allow_plain_http=True,
    )


def test_a_question_is_one_get_with_basic_credentials(server: ScriptedServer) -> None:
    results = results_at(server.port)
    results.open()
    assert results.ask("order1001") == InquiryAnswer(status="1")
    results.close()
    [request] = server.requests
    assert request.startswith(b"GET /sms/result/?smsid=order1001 HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Basic " + base64.b64encode(b"u:p") in request


def test_an_unreachable_result_api_was_not_asked() -> None:
    with ScriptedServer() as gone:
        port = gone.port
    with pytest.raises(NotSentError):
        results_at(port).open()


def test_a_connection_to_another_origin_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        results_at(1, url="http://127.0.0.1:2/sms/result/")

"""The MediaSMS simulator does what the document says: refusals, limits, texts, reports, scripted numbers, control."""

import csv
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.simulators.mediasms import MediaSmsSimulator, SimulatorConfig, text_on_phone
from sandbox.simulators.mediasms.document_tables import NEVER_PUSHED, REASONS, STATUS_NAMES, Code
from sandbox.simulators.mediasms.numbers import NUMBERS
from sandbox.simulators.mediasms.phone_text import AU
from sandbox.simulators.rate_window import RateWindow
from tests.customer import ManualClock, Receiver, answer_of, connection_to, json_or_nothing

USER, PASSWORD = "tester", "correct-horse"
OTHER_NUMBER = "09000000099"
SMS = {"mobilenumber": OTHER_NUMBER, "smstext": "hello", "smsid": "a1", "status": "1"}
ECHOED = {
    "mobilecareer", "mobilenumber", "smstitle", "smstextid", "smstext", "smstext2",
    "status", "smsid", "method", "ipphone", "holdingtime", "repeatcall",
}  # fmt: skip


class Sender:
    """A plain HTTP client of one simulator that shares no code with the product's client."""

    def __init__(self, simulator: MediaSmsSimulator, user: str = USER, password: str = PASSWORD) -> None:
        self._url = simulator.url
        self._path = urlsplit(simulator.url).path
        self._control_path = urlsplit(simulator.control_url).path
        self.headers = {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}

    def connect(self) -> http.client.HTTPConnection:
        return connection_to(self._url)

    def exchange(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, bytes]:
        answer = answer_of(self.connect(), method, path, body, {**self.headers, **headers})
        return answer.status, answer.body

    def post(self, parameters: Mapping[str, str] = SMS, **more: str) -> int:
        form = urlencode({**parameters, **more}).encode()
        status, body = self.exchange("POST", self._path, form, {"Content-Type": "application/x-www-form-urlencoded"})
        assert body == str(status).encode()
        return status

    def get(self, parameters: Mapping[str, str] = SMS) -> int:
        return self.exchange("GET", f"{self._path}?{urlencode(parameters)}")[0]

    def control(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        status, answer = self.exchange(method, self._control_path + path, json_or_nothing(body))
        return status, json.loads(answer)


class ReportReceiver(Receiver):
    """The customer's receiver of delivery reports."""

    @property
    def values(self) -> list[str]:
        return [fields["status"] for fields in self.fields()]


@pytest.fixture
def receiver() -> Iterator[ReportReceiver]:
    with ReportReceiver("/reports?token=t") as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@contextmanager
def running(
    clock: ManualClock | None = None, *, by_hand: bool = True, changes: Mapping[str, object] = {}, **more: Any
) -> Iterator[MediaSmsSimulator]:
    config = SimulatorConfig(user=USER, password=PASSWORD).with_changes({**changes, **more})
    simulator = MediaSmsSimulator(config, clock=clock or ManualClock(), reports_by_hand=by_hand)
    with simulator:
        yield simulator


def without(name: str, **more: str) -> dict[str, str]:
    return {key: value for key, value in {**SMS, **more}.items() if key != name}


CALL_OUT = {**SMS, "method": "5", "ipphone": "05000000000", "holdingtime": "10", "repeatcall": "3"}
LAND_LINE = {**SMS, "mobilenumber": "0300000000", "method": "4", "ipphone": "05000000000"}


def test_the_tables_of_codes_and_statuses_are_the_documents() -> None:
    def rows(name: str) -> list[dict[str, str]]:
        with (Path(__file__).parents[1] / "specs" / name).open(encoding="utf-8") as table:
            return [row for row in csv.DictReader(table) if row["code"].isdigit()]  # not the row その他

    answers, statuses = rows("mediasms_response_codes.csv"), rows("mediasms_delivery_statuses.csv")
    assert {int(row["code"]): row["summary"] for row in answers} == REASONS
    assert {*REASONS} == {*Code}
    assert {int(row["code"]): row["name"] for row in statuses} == STATUS_NAMES
    assert {int(row["code"]) for row in statuses if row["pushed"] == "-"} == NEVER_PUSHED


@pytest.mark.parametrize(
    ("code", "parameters"),
    [
        pytest.param(550, {}, id="no parameters"),
        pytest.param(550, without("mobilenumber"), id="no number"),
        pytest.param(550, without("smstext"), id="no text"),
        pytest.param(550, {**SMS, "smstext": ""}, id="empty text"),
        pytest.param(550, {**SMS, "smstextid": "1"}, id="text and template"),
        pytest.param(550, without("smstext", smstextid="1", smstext2="au"), id="au text and template"),
        pytest.param(550, without("smstext", smstextid="77"), id="unknown template"),
        pytest.param(550, without("smsid"), id="reports without smsid"),
        pytest.param(550, {**SMS, "smsid": "has-hyphen"}, id="smsid with hyphen"),
        pytest.param(550, {**SMS, "smsid": "a" * 51}, id="smsid too long"),
        pytest.param(550, {**SMS, "smsid": "１"}, id="smsid full-width"),
        pytest.param(550, {**SMS, "status": "2"}, id="status 2"),
        pytest.param(550, {**SMS, "mobilenumber": "0900000001"}, id="number too short"),
        pytest.param(550, {**SMS, "mobilenumber": "09000000001\n"}, id="number with newline"),
        pytest.param(550, {**SMS, "mobilenumber": "05000000001"}, id="050 number"),
        pytest.param(550, {**SMS, "mobilenumber": "０９０００００００９９"}, id="number full-width"),
        pytest.param(550, {**SMS, "mobilenumber": "0300000000", "mobilecareer": "a"}, id="SMS to a land line"),
        pytest.param(550, {**SMS, "mobilenumber": OTHER_NUMBER, "mobilecareer": "c"}, id="Japanese number as overseas"),
        pytest.param(550, {**SMS, "smstitle": "123"}, id="title of digits"),
        pytest.param(550, {**SMS, "smstitle": "A"}, id="title too short"),
        pytest.param(550, {**SMS, "smstitle": "TwelveLetter"}, id="title too long"),
        pytest.param(550, {**SMS, "method": "2"}, id="method 2 without line"),
        pytest.param(550, {**SMS, "method": "4", "ipphone": "0300000000"}, id="line no 050 number"),
        pytest.param(550, LAND_LINE, id="land line without carrier"),
        pytest.param(
            550, {**LAND_LINE, "mobilecareer": "b", "mobilenumber": "0000000001"}, id="land line with two zeros"
        ),
        pytest.param(550, {**LAND_LINE, "mobilecareer": "b", "mobilenumber": "03000000011"}, id="land line too long"),
        pytest.param(550, {**CALL_OUT, "holdingtime": ""}, id="method 5 without holdingtime"),
        pytest.param(550, {**CALL_OUT, "repeatcall": ""}, id="method 5 without repeatcall"),
        pytest.param(560, {**SMS, "mobilecareer": "5"}, id="carrier 5"),
        pytest.param(560, {**SMS, "mobilecareer": "12"}, id="two carriers"),
        pytest.param(560, {**CALL_OUT, "mobilecareer": "c", "mobilenumber": "81900000000"}, id="method 5 overseas"),
        pytest.param(561, {**SMS, "method": "3"}, id="method 3"),
        pytest.param(561, {**SMS, "method": "0"}, id="method 0"),
        pytest.param(567, {**CALL_OUT, "holdingtime": "1000"}, id="holdingtime too long"),
        pytest.param(567, {**CALL_OUT, "holdingtime": "-1"}, id="holdingtime negative"),
        pytest.param(568, {**CALL_OUT, "repeatcall": "100"}, id="repeatcall too high"),
        pytest.param(615, {**SMS, "autitle": "1234"}, id="au title of digits"),
        pytest.param(616, {**SMS, "softbanktitle": "!"}, id="SoftBank title of symbols"),
    ],
)
def test_parameters_that_the_document_forbids_get_their_code(code: int, parameters: dict[str, str]) -> None:
    with running() as simulator:
        assert Sender(simulator).post(parameters) == code
        assert simulator.messages == ()


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"mobilenumber": OTHER_NUMBER, "smstext": "no smsid, no report"}, id="no smsid"),
        pytest.param(without("smstext", smstextid="1"), id="template"),
        pytest.param({**SMS, "smstext2": "for au"}, id="au text"),
        pytest.param({**SMS, "smsid": "a" * 50}, id="longest smsid"),
        pytest.param({**SMS, "smstitle": "Elevenchar1"}, id="longest title"),
        pytest.param({**SMS, "mobilecareer": "4", "mobilenumber": "02000000001"}, id="020 number"),
        pytest.param({**SMS, "mobilecareer": "c", "mobilenumber": "81900000000"}, id="overseas"),
        pytest.param({**SMS, "method": "6"}, id="method 6"),
        pytest.param({**SMS, "method": "7"}, id="method 7"),
        pytest.param({**SMS, "method": "2", "ipphone": "05000000000", "holdingtime": "0"}, id="holdingtime 0"),
        pytest.param({**LAND_LINE, "mobilecareer": "b"}, id="land line"),
        pytest.param({**LAND_LINE, "mobilecareer": "b", "mobilenumber": OTHER_NUMBER}, id="mobile as land line"),
        pytest.param({**CALL_OUT, "holdingtime": "999", "repeatcall": "99"}, id="longest holdingtime"),
        pytest.param({**SMS, "unlisted": "of"}, id="unknown parameter"),
    ],
)
def test_parameters_that_the_document_allows_are_accepted(parameters: dict[str, str]) -> None:
    with running() as simulator:
        assert Sender(simulator).post(parameters) == 200
        assert Sender(simulator).get(parameters) == 200
        assert [message.parameters for message in simulator.messages] == [parameters, parameters]


def test_a_title_is_refused_while_titles_are_disabled() -> None:
    with running(titles_enabled=False) as simulator:
        sender = Sender(simulator)
        assert [sender.post(smstitle="Shop"), sender.post(autitle="Shop"), sender.post()] == [617, 617, 200]


def test_a_call_needs_no_text_if_configured() -> None:
    with running(text_required_without_sms=False) as simulator:
        assert Sender(simulator).post({k: v for k, v in CALL_OUT.items() if k != "smstext"}) == 200
        assert Sender(simulator).post(without("smstext")) == 550


def test_a_repeated_smsid_is_accepted() -> None:
    with running() as simulator:
        assert [Sender(simulator).post(), Sender(simulator).post()] == [200, 200]
        assert [message.smsid for message in simulator.messages] == ["a1", "a1"]


def test_an_address_over_8190_bytes_is_414() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        url = f"{simulator.url}?{urlencode(SMS)}&other="
        path = url.removeprefix(f"http://{urlsplit(url).netloc}")
        padding = "x" * (8190 - len(url))
        assert sender.exchange("GET", path + padding)[0] == 200
        assert sender.exchange("GET", path + padding + "x") == (414, b"414")
        assert sender.post(other="x" * 10_000) == 200


def test_a_body_that_is_no_form_has_no_parameters() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        body = json.dumps(SMS).encode()
        assert sender.exchange("POST", "/sms/api/", body, {"Content-Type": "application/json"})[0] == 550


def test_a_message_over_the_contracted_count_is_402() -> None:
    with running(contracted_messages=2) as simulator:
        assert [Sender(simulator).post() for _ in range(3)] == [200, 200, 402]


def test_an_unregistered_address_is_557() -> None:
    with running(allowed_addresses=["192.0.2.1"]) as simulator:
        assert Sender(simulator).post() == 557
        simulator.provider.configure({"allowed_addresses": ["192.0.2.1", "127.0.0.1"]})
        assert Sender(simulator).post() == 200


@pytest.mark.parametrize(
    ("settings", "status", "body"),
    [
        pytest.param({}, 550, b"550", id="default"),
        pytest.param({"http_status_style": "always_200"}, 200, b"550", id="always 200"),
        pytest.param({"http_status_style": "always_200", "body_style": "json"}, 200, b'{"result": "550"}', id="JSON"),
        pytest.param({"body_style": "html"}, 550, b"<html><body>550</body></html>", id="HTML"),
    ],
)
def test_the_answer_is_the_bare_code_in_the_configured_form(settings: dict[str, str], status: int, body: bytes) -> None:
    with running(changes=settings) as simulator:
        assert Sender(simulator).exchange("GET", "/sms/api/") == (status, body)


def test_exactly_eighty_messages_are_accepted_in_any_second(clock: ManualClock) -> None:
    with running(clock) as simulator:
        sender = Sender(simulator)
        assert [sender.post() for _ in range(40)] == [200] * 40
        clock.now += 0.5
        assert [sender.post() for _ in range(42)] == [200] * 40 + [503, 503]
        clock.now += 0.49
        assert sender.post() == 503
        clock.now = 101.0
        assert [sender.post() for _ in range(41)] == [200] * 40 + [503]


@given(
    steps=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), max_size=60),
    kind=st.sampled_from(["sliding", "fixed"]),
)
def test_a_window_is_full_exactly_at_its_limit(steps: list[float], kind: Literal["sliding", "fixed"]) -> None:
    window, now, times = RateWindow(), 1000.0, list[float]()
    for step in steps:
        now += step
        in_this_second = [time for time in times if (int(time) == int(now) if kind == "fixed" else time > now - 1)]
        assert window.is_full(now, limit=3, kind=kind) == (len(in_this_second) >= 3)
        if len(in_this_second) < 3:
            window.count(now)
            times.append(now)


def test_refusals_count_in_the_second_only_if_configured(clock: ManualClock) -> None:
    for refusals_count, expected in [(False, [550, 200, 200, 503]), (True, [550, 200, 503, 503])]:
        with running(clock, requests_per_second=2, refusals_count=refusals_count) as simulator:
            sender = Sender(simulator)
            assert [sender.post(status="9"), *(sender.post() for _ in range(3))] == expected


def test_a_persistent_caller_stays_refused_if_refusals_count(clock: ManualClock) -> None:
    with running(clock, requests_per_second=1, refusals_count=True) as simulator:
        sender = Sender(simulator)
        answers = []
        for _ in range(5):
            answers.append(sender.post())
            clock.now += 0.9
        assert answers == [200, 503, 503, 503, 503]


def test_ten_consecutive_401s_block_the_address() -> None:
    with running() as simulator:
        wrong, right = Sender(simulator, password="wrong"), Sender(simulator)
        assert [wrong.post() for _ in range(11)] == [401] * 10 + [555]
        assert right.post() == 555
        assert right.control("GET", "blocked") == (200, {"blocked": ["127.0.0.1"]})
        assert right.control("POST", "unblock", {"address": "127.0.0.1"}) == (200, {"blocked": []})
        assert right.post() == 200


@pytest.mark.parametrize(
    ("parameters", "code"), [pytest.param(SMS, 200, id="accepted"), pytest.param({}, 550, id="refused")]
)
def test_any_other_answer_ends_the_consecutive_401s(parameters: dict[str, str], code: int) -> None:
    with running() as simulator:
        wrong, right = Sender(simulator, password="wrong"), Sender(simulator)
        assert [wrong.post() for _ in range(9)] == [401] * 9
        assert right.post(parameters) == code
        assert [wrong.post() for _ in range(10)] == [401] * 10
        assert right.post() == 555


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("", id="empty"),
        pytest.param("Basic", id="scheme only"),
        pytest.param("Basic !!!", id="no base64"),
        pytest.param("Bearer abc", id="other scheme"),
        pytest.param("Basic dGVzdGVy", id="no password"),
    ],
)
def test_unreadable_credentials_are_wrong(authorization: str) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.headers = {"Authorization": authorization}
        assert sender.post() == 401


@pytest.mark.parametrize(
    ("text", "carrier", "long_sms", "expected"),
    [
        pytest.param("a" * 141, None, False, "a" * 140, id="140 one-byte characters"),
        pytest.param("あ" * 71, None, False, "あ" * 70, id="70 two-byte characters"),
        pytest.param("a" * 80 + "あ", None, False, "a" * 70, id="one two-byte character"),
        pytest.param("a" * 100 + "あ" * 30, AU, False, "a" * 100 + "あ" * 20, id="au counts bytes"),
        pytest.param("a" * 139 + "あ", AU, False, "a" * 139, id="au cuts a two-byte character"),
        pytest.param("a" * 139 + "\nb", None, False, "a" * 139, id="newline counts two bytes"),
        pytest.param("あ" * 68 + "\nbc", "1", False, "あ" * 68 + "\n", id="newline counts two characters"),
        pytest.param("a\r\nb\rc", "2", False, "a\nb\nc", id="newlines of all kinds"),
        pytest.param("ｱ" * 141, None, False, "ｱ" * 140, id="half-width katakana"),
        pytest.param("あ" * 671, None, True, "あ" * 670, id="long option"),
        pytest.param("a" * 671, AU, True, "a" * 670, id="long option on au"),
        pytest.param("①😀🇯", None, False, "???", id="not in Shift_JIS"),
        pytest.param("¥100", None, False, "\\100", id="yen sign"),
        pytest.param("～〜－−", None, False, "～〜－−", id="alternative spellings"),
    ],
)
def test_a_text_is_converted_and_silently_cut(text: str, carrier: str | None, long_sms: bool, expected: str) -> None:
    assert text_on_phone(text, carrier=carrier, long_sms=long_sms) == expected


@given(
    text=st.text(st.sampled_from("ab\nあ漢ｱ～①😀"), max_size=200),
    carrier=st.sampled_from([None, "1", AU]),
    long_sms=st.booleans(),
)
def test_a_text_on_a_phone_fits_and_does_not_change_again(text: str, carrier: str | None, long_sms: bool) -> None:
    arrived = text_on_phone(text, carrier=carrier, long_sms=long_sms)
    assert text_on_phone(arrived, carrier=carrier, long_sms=long_sms) == arrived
    assert len(arrived.encode("cp932")) + arrived.count("\n") <= (1340 if long_sms else 140)
    assert re.sub("[①😀]", "?", text).startswith(arrived)


def test_a_message_records_the_text_on_the_phone() -> None:
    with running(templates={"5": "template text"}) as simulator:
        sender = Sender(simulator)
        sender.post(smstext="あ" * 80)
        sender.post(without("smstext", smstextid="5"))
        sender.post(CALL_OUT)
        simulator.provider.configure({"long_sms": True})
        sender.post(smstext="あ" * 80, smstext2="au's own", mobilecareer=AU)
        received = [message.received_by_phone for message in simulator.messages]
        assert received == ["あ" * 70, "template text", None, "au's own"]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_report_repeats_every_parameter_of_the_request(
    receiver: ReportReceiver, clock: ManualClock, method: str
) -> None:
    with running(clock, report_url=receiver.url, report_method=method) as simulator:
        parameters = {**SMS, "smstext": "あ & = +", "smstitle": "Shop"}
        Sender(simulator).post(parameters, unlisted="of")
        clock.now += 60
        assert simulator.deliver_due() > 0
        first, second = receiver.fields()
        token = first.pop("token", None), second.pop("token", None)
        assert (receiver.received[0].method, token) == (method, ("t", "t") if method == "GET" else (None, None))
        assert first == {**dict.fromkeys(ECHOED, ""), **parameters, "status": "14"}
        assert second == {**first, "status": "1"}


def test_a_report_has_the_japanese_name_if_configured(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url, status_style="name") as simulator:
        Sender(simulator).post()
        clock.now += 60
        simulator.deliver_due()
        assert receiver.values == ["処理中", "送信済"]


def test_reports_come_on_time_and_only_if_requested(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        Sender(simulator).post(smsid="requested")
        Sender(simulator).post(smsid="not", status="0")
        progress = []
        for _ in range(4):
            simulator.deliver_due()
            progress.append(list(receiver.values))
            clock.now += 0.11
        assert progress == [[], ["14"], ["14"], ["14", "1"]]
        assert [message.status for message in simulator.messages] == [1, 1]


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        pytest.param({"report_copies": 2}, ["14", "14", "1", "1"], id="copies"),
        pytest.param({"report_order": "reversed"}, ["1", "14"], id="reversed"),
        pytest.param({"report_time_factor": 0}, ["14", "1"], id="at once"),
        pytest.param({"report_url": None}, [], id="no address"),
    ],
)
def test_reports_are_copied_and_reordered_as_configured(
    receiver: ReportReceiver, clock: ManualClock, settings: dict[str, object], values: list[str]
) -> None:
    with running(clock, changes={"report_url": receiver.url, **settings}) as simulator:
        Sender(simulator).post()
        clock.now += 0 if "report_time_factor" in settings else 60
        simulator.deliver_due()
        assert receiver.values == values


def test_shuffled_reports_are_the_same_reports(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url, report_order="shuffled", report_copies=3) as simulator:
        Sender(simulator).post()
        clock.now += 60
        simulator.deliver_due()
        assert sorted(receiver.values) == sorted(["14", "1"] * 3)


@pytest.mark.parametrize(
    ("retries", "answers"),
    [
        pytest.param(0, [500, 302], id="no retries"),
        pytest.param(2, [500, 302, 503, 200, 200], id="two retries"),
    ],
)
def test_a_refused_report_is_retried_only_if_configured(
    receiver: ReportReceiver, clock: ManualClock, retries: int, answers: list[int]
) -> None:
    receiver.answers = [(500, b""), (302, b""), (503, b"")]
    with running(clock, report_url=receiver.url, report_retries=retries) as simulator:
        Sender(simulator).post()
        for _ in range(4):
            clock.now += 60
            simulator.deliver_due()
        assert [report.answer for report in simulator.messages[0].reports] == answers
        assert {request.path for request in receiver.received} == {"/reports"}


def test_a_report_to_a_closed_port_records_its_problem(clock: ManualClock) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with running(clock, report_url=url) as simulator:
            Sender(simulator).post()
            clock.now += 60
            simulator.deliver_due()
            reports = simulator.messages[0].reports
            assert [(report.answer, report.problem) for report in reports] == [(None, "ConnectionRefusedError")] * 2


@pytest.mark.parametrize(
    ("number", "values"),
    [
        pytest.param("09000000001", ["14", "1"], id="1 delivered"),
        pytest.param("09000000002", ["14", "18", "1"], id="2 out of range"),
        pytest.param("09000000003", ["14", "0"], id="3 failed"),
        pytest.param("09000000004", [], id="4 invalid"),
        pytest.param("09000000008", ["1", "18", "14", "1", "14", "18"], id="8 out of order"),
        pytest.param("09000000009", ["14", "99", "1"], id="9 unlisted status"),
        pytest.param(OTHER_NUMBER, ["14", "1"], id="every other number"),
    ],
)
def test_a_scripted_number_gets_its_reports(
    receiver: ReportReceiver, clock: ManualClock, number: str, values: list[str]
) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        assert Sender(simulator).post(mobilenumber=number) == 200
        clock.now += 60
        simulator.deliver_due()
        assert receiver.values == values


def test_the_invalid_number_gets_no_report(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        Sender(simulator).post(mobilenumber="09000000004")
        clock.now += 60
        simulator.deliver_due()
        assert [status for status, _ in simulator.messages[0].transitions] == [6, 2, 33]


def test_the_number_that_never_answers_accepts_once_and_delivers(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url, hold_open_s=30) as simulator:

        def lost_answer() -> None:
            with pytest.raises(http.client.RemoteDisconnected):
                Sender(simulator).post(mobilenumber="09000000005")

        with in_thread(lost_answer):
            assert simulator.wait_until(lambda: len(simulator.messages) == 1)
            clock.now += 11
            simulator.deliver_due()
            assert receiver.values == ["14", "1"]
            clock.now += 30
            simulator.wake()
        [record] = simulator.requests
        assert (record.code, record.outcome) == (200, "held")  # codespell:ignore held
        assert len(simulator.messages) == 1


def test_the_number_that_resets_accepts_nothing() -> None:
    with running() as simulator:
        with pytest.raises(ConnectionResetError):
            Sender(simulator).post(mobilenumber="09000000006")
        assert simulator.messages == ()
        assert [(record.code, record.outcome) for record in simulator.requests] == [(None, "reset")]


def test_the_slow_number_answers_after_two_seconds(clock: ManualClock) -> None:
    with running(clock) as simulator:
        answers: list[int] = []
        with in_thread(lambda: answers.append(Sender(simulator).post(mobilenumber="09000000007"))):
            assert simulator.wait_until(lambda: len(simulator.messages) == 1)
            assert answers == []
            clock.now += 2
            simulator.wake()
        assert answers == [200]


@pytest.mark.parametrize("password", [pytest.param(PASSWORD, id="accepted"), pytest.param("wrong", id="refused")])
def test_every_answer_comes_after_the_configured_latency(clock: ManualClock, password: str) -> None:
    with running(clock) as simulator:
        sender, answers = Sender(simulator, password=password), list[int]()
        assert sender.control("POST", "config", {"answer_after_s": 0.5})[0] == 200
        with in_thread(lambda: answers.append(sender.post())):
            assert simulator.wait_until(lambda: len(simulator.requests) == 1)
            assert answers == []
            clock.now += 0.5
            simulator.wake()
        assert answers == [200 if password == PASSWORD else 401]


def test_the_number_whose_report_comes_first_answers_after_it(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        answers: list[int] = []
        with in_thread(lambda: answers.append(Sender(simulator).post(mobilenumber="09000000010"))):
            assert simulator.wait_until(lambda: len(simulator.messages) == 1)
            assert answers == []
            simulator.deliver_due()
        assert answers == [200]
        assert receiver.values == ["14"]


def test_threads_send_reports_in_real_time(receiver: ReportReceiver) -> None:
    config = SimulatorConfig(user=USER, password=PASSWORD, report_url=receiver.url)
    with MediaSmsSimulator(config) as simulator:
        assert Sender(simulator).post(mobilenumber="09000000001") == 200
        assert simulator.wait_until(lambda: len(simulator.messages[0].reports) == 2)
    assert receiver.values == ["14", "1"]


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        pytest.param({"kind": "answer", "code": 556}, [556, 200], id="one answer"),
        pytest.param({"kind": "answer", "code": 402, "times": 2}, [402, 402, 200], id="two answers"),
        pytest.param({"kind": "delay", "seconds": 0}, [200, 200], id="delay"),
    ],
)
def test_scripted_answers_come_first_and_are_used_up(fault: dict[str, object], codes: list[int]) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        assert sender.control("POST", "faults", fault)[0] == 200
        assert [sender.post() for _ in codes] == codes
        assert [(record.code, record.outcome) for record in simulator.requests] == [
            (code, "answered") for code in codes
        ]
        assert len(simulator.messages) == codes.count(200)


def test_a_fault_for_one_number_waits_for_that_number() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", {"kind": "answer", "code": 503, "match_number": "09000000002"})
        assert [sender.post(), sender.post(mobilenumber="09000000002"), sender.post()] == [200, 503, 200]
        assert sender.control("GET", "faults")[1] == {"faults": []}


@pytest.mark.parametrize(
    ("fault", "problem", "accepted"),
    [
        pytest.param({"kind": "reset_before"}, ConnectionResetError, 0, id="reset before"),
        pytest.param({"kind": "accept_then_drop"}, http.client.RemoteDisconnected, 1, id="drop"),
        pytest.param({"kind": "accept_then_hold", "seconds": 0}, http.client.RemoteDisconnected, 1, id="hold"),
        pytest.param({"kind": "cut_answer"}, http.client.IncompleteRead, 1, id="cut"),
    ],
)
def test_a_scripted_loss_accepts_the_message_or_not(
    fault: dict[str, object], problem: type[Exception], accepted: int
) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", fault)
        with pytest.raises(problem):
            sender.post()
        assert len(simulator.messages) == accepted
        assert sender.post() == 200


@pytest.mark.parametrize("accept", [pytest.param(True, id="accepted"), pytest.param(False, id="not accepted")])
def test_scripted_garbage_is_answered_literally(accept: bool) -> None:
    fault = {"kind": "garbage", "body": "<p>down for maintenance", "http_status": 502, "accept": accept}
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", [fault])
        answer = sender.exchange("GET", f"/sms/api/?{urlencode(SMS)}")
        assert answer == (502, b"<p>down for maintenance")
        assert len(simulator.messages) == accept


@pytest.mark.parametrize(
    ("members", "code", "accepted"),
    [({}, 200, 1), ({"code": 560}, 560, 0), ({"http_status": 502}, 200, 1)],
    ids=["of the treatment", "scripted", "under a status"],
)
def test_a_scripted_wrapping_holds_the_code(members: dict[str, int], code: int, accepted: int) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", {"kind": "wrap", "body": "<p>code {code}</p>", **members})
        answer = sender.exchange("GET", f"/sms/api/?{urlencode(SMS)}")
        assert answer == (members.get("http_status", 200), f"<p>code {code}</p>".encode())
        assert len(simulator.messages) == accepted


def test_scripted_provisional_answers_come_before_the_answer() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", {"kind": "provisional", "count": 2})
        with socket.create_connection(("127.0.0.1", urlsplit(simulator.url).port or 0)) as client:
            client.sendall(b"GET /sms/api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        statuses = [line.split(b" ")[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
        assert statuses == [b"103", b"103", b"401"]


def test_the_result_api_answers_the_present_status_or_a_code(clock: ManualClock) -> None:
    with running(clock) as simulator:
        sender = Sender(simulator)
        sender.post(mobilenumber="09000000004", smsid="r1", status="1")
        clock.now += 1.0
        simulator.deliver_due()
        assert sender.exchange("GET", "/sms/result/?smsid=r1") == (200, "200\n無効\n".encode())
        assert sender.exchange("GET", "/sms/result/?smsid=r2") == (404, b'{"result": "404"}')
        sender.control("POST", "credentials", {"user": "other", "password": "other"})
        assert [sender.exchange("GET", "/sms/result/?smsid=r1")[0] for _ in range(11)] == [401] * 10 + [555]
        codes = [item["code"] for item in sender.control("GET", "inquiries")[1]["items"]]
        assert codes == [200, 404, *[401] * 10, 555]
        assert sender.post() == 555


def test_scripted_401s_block_the_address_too() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", {"kind": "answer", "code": 401, "times": 10})
        assert [sender.post() for _ in range(11)] == [401] * 10 + [555]


def test_control_requests_show_messages_and_requests(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        sender = Sender(simulator)
        sender.post()
        sender.post(smsid="b2")
        sender.post({})
        clock.now += 60
        simulator.deliver_due()
        _, listing = sender.control("GET", "messages?smsid=b2")
        (item,) = listing["items"]
        assert item["parameters"] == {**SMS, "smsid": "b2"}
        assert item["received_by_phone"] == "hello"
        assert [(report["status"], report["answer"]) for report in item["reports"]] == [(14, 200), (1, 200)]
        assert [transition["status"] for transition in item["transitions"]] == [6, 2, 14, 1]
        assert sender.control("GET", f"messages?number={OTHER_NUMBER}")[1]["count"] == 2
        _, listing = sender.control("GET", "requests")
        assert (listing["count"], listing["codes"]) == (3, {"200": 2, "550": 1})
        assert listing["items"][2]["cause"] == "mobilenumber is missing"


def test_control_requests_change_credentials_numbers_and_settings(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock) as simulator:
        sender = Sender(simulator)
        assert sender.control("POST", "credentials", {"user": "new", "password": "newer"}) == (200, {})
        assert [sender.post(), Sender(simulator, "new", "newer").post()] == [401, 200]
        status, settings = sender.control("POST", "config", {"report_url": receiver.url, "requests_per_second": 7})
        assert (status, settings["requests_per_second"], "password" in settings) == (200, 7, False)
        script = {"transitions": [{"status": 19, "after_s": 1, "pushed_after_s": [2, 3]}]}
        assert sender.control("POST", "numbers", {"number": OTHER_NUMBER, **script})[0] == 200
        Sender(simulator, "new", "newer").post(smsid="scripted")
        clock.now += 60
        simulator.deliver_due()
        values = [fields["status"] for fields in receiver.fields() if fields["smsid"] == "scripted"]
        assert values == ["19", "19"]
        assert sender.control("GET", "numbers")[1].keys() == {*NUMBERS, OTHER_NUMBER}
        sender.control("POST", "reset", {})
        assert (simulator.messages, simulator.requests) == ((), ())
        settings = sender.control("GET", "config")[1]
        assert (settings["requests_per_second"], settings["report_url"]) == (80, receiver.url)
        assert sender.post() == 200


def test_a_control_request_pushes_any_report(receiver: ReportReceiver) -> None:
    with running(report_url=receiver.url) as simulator:
        sender = Sender(simulator)
        sender.post()
        sender.control("POST", "report", {"smsid": "a1", "status": 20})
        _, foreign = sender.control(
            "POST", "report", {"smsid": "stranger", "status": 1, "parameters": {"mobilenumber": "09000000077"}}
        )
        assert foreign["answer"] == 200
        assert [(fields["smsid"], fields["mobilenumber"], fields["status"]) for fields in receiver.fields()] == [
            ("a1", OTHER_NUMBER, "20"),
            ("stranger", "09000000077", "1"),
        ]
        assert [report.status for report in simulator.messages[0].reports] == [20]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("config", {"no_such": 1}, id="unknown setting"),
        pytest.param("config", {"requests_per_second": -1}, id="negative number"),
        pytest.param("config", {"report_url": "file:///etc/passwd"}, id="no web address"),
        pytest.param("config", {"window": []}, id="no choice"),
        pytest.param("config", [1], id="no object"),
        pytest.param("faults", {"kind": "answer"}, id="answer without code"),
        pytest.param("faults", {"kind": "nonsense"}, id="unknown kind of fault"),
        pytest.param("faults", {"kind": "delay"}, id="delay without seconds"),
        pytest.param("faults", {"kind": "wrap", "body": "560"}, id="wrapping without a place for the code"),
        pytest.param("faults", {"kind": "reset_before", "typo": 1}, id="unknown member of a fault"),
        pytest.param("numbers", {"number": OTHER_NUMBER, "transitions": [{}]}, id="transition without status"),
        pytest.param("report", {"smsid": "a1"}, id="report without status"),
        pytest.param("credentials", {"user": "only"}, id="credentials without password"),
    ],
)
def test_a_wrong_control_request_changes_nothing(path: str, body: object) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        before = sender.control("GET", "config"), sender.control("GET", "faults"), sender.control("GET", "numbers")
        status, answer = sender.control("POST", path, body)
        assert (status, answer.keys()) == (400, {"error"})
        assert before == (
            sender.control("GET", "config"), sender.control("GET", "faults"), sender.control("GET", "numbers"),
        )  # fmt: skip
        assert sender.post() == 200


def test_unknown_paths_and_broken_json_are_refused() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        assert sender.control("GET", "nothing")[0] == 404
        assert sender.exchange("POST", "/control/faults", b"{")[0] == 400
        assert sender.exchange("GET", "/elsewhere")[0] == 404
        assert sender.exchange("PUT", "/sms/api/")[0] == 501


def test_a_cut_request_is_ignored() -> None:
    with running() as simulator:
        address = urlsplit(simulator.url).hostname, urlsplit(simulator.url).port
        form = urlencode(SMS)
        raw = (
            f"POST /sms/api/ HTTP/1.1\r\nHost: a\r\nAuthorization: {Sender(simulator).headers['Authorization']}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n{form}"
        ).encode()

        def send(part: bytes) -> None:
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1000):
                    pass

        for length in range(0, len(raw), 3):
            send(raw[:length])
        assert simulator.requests == ()
        send(raw)
        assert len(simulator.messages) == 1


def test_one_connection_carries_many_requests() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        connection = sender.connect()
        codes = []
        for _ in range(3):
            connection.request("GET", f"/sms/api/?{urlencode(SMS)}", headers=sender.headers)
            sock = connection.sock
            response = connection.getresponse()
            response.read()
            codes.append(response.status)
            assert connection.sock is sock
        connection.close()
        assert codes == [200, 200, 200]


def test_the_log_has_codes_and_ids_and_no_personal_data(receiver: ReportReceiver) -> None:
    lines: list[str] = []
    config = SimulatorConfig(user=USER, password=PASSWORD, report_url=receiver.url, report_time_factor=0)
    with MediaSmsSimulator(config, log=lines.append, reports_by_hand=True) as simulator:
        sender = Sender(simulator)
        sender.post(smstext="a secret text")
        sender.post(smsid="a secret text in the wrong place", mobilenumber="a secret text")
        simulator.deliver_due()
    assert lines == [
        "200 answered *******0099 a1",
        "550 answered - - (mobilenumber has a wrong form)",
        "report 14 a1 -> 200",
        "report 1 a1 -> 200",
    ]
    assert PASSWORD not in repr(config)


def test_stopping_with_open_connections_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with running(ManualClock(), by_hand=False) as simulator:
        sender = Sender(simulator)
        idle = sender.connect()
        idle.connect()
        unanswered = sender.connect()
        unanswered.request(
            "GET", f"/sms/api/?{urlencode({**SMS, 'mobilenumber': '09000000005'})}", headers=sender.headers
        )
        assert simulator.wait_until(lambda: len(simulator.messages) == 1)
    assert set(threading.enumerate()) == before
    with pytest.raises(http.client.RemoteDisconnected):
        unanswered.getresponse()
    idle.close()
    unanswered.close()


def test_stopping_aborts_a_report_without_answer(receiver: ReportReceiver) -> None:
    receiver.may_answer.clear()
    config = SimulatorConfig(
        user=USER, password=PASSWORD, report_url=receiver.url, report_timeout_s=20, report_time_factor=0
    )
    arrived = threading.Event()
    receiver.on_arrival = arrived.set
    with MediaSmsSimulator(config) as simulator:
        Sender(simulator).post()
        assert arrived.wait(timeout=10)
    (report,) = simulator.messages[0].reports
    receiver.may_answer.set()
    assert report.problem not in {None, "TimeoutError"}


def test_the_command_line_serves_until_sigterm() -> None:
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.simulators.mediasms", "--port", "0"],
        cwd=root,
        env={**os.environ, "MEDIASMS_USER": USER, "MEDIASMS_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        token = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        connection.request("GET", f"{parts.path}?{urlencode(SMS)}", headers={"Authorization": f"Basic {token}"})
        assert connection.getresponse().status == 200
        connection.close()
        process.terminate()
        assert process.wait(timeout=10) == 0


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[None]:
    """Do `work` in a thread while the body of the `with` runs, and fail the test if it fails."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - checked below
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(timeout=10)
    assert not thread.is_alive()
    assert failures == []

"""The MediaSMS simulator against its document: refusals, limits, texts, reports, special numbers, control."""

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
    """A plain HTTP client of one simulator, sharing no code with ours."""

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
    """The customer's end of the delivery reports."""

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
            return [row for row in csv.DictReader(table) if row["code"].isdigit()]  # else it is その他

    answers, statuses = rows("mediasms_response_codes.csv"), rows("mediasms_delivery_statuses.csv")
    assert {int(row["code"]): row["summary"] for row in answers} == REASONS
    assert {*REASONS} == {*Code}
    assert {int(row["code"]): row["name"] for row in statuses} == STATUS_NAMES
    assert {int(row["code"]) for row in statuses if row["pushed"] == "-"} == NEVER_PUSHED


@pytest.mark.parametrize(
    ("code", "parameters"),
    [
        (550, {}),
        (550, without("mobilenumber")),
        (550, without("smstext")),
        (550, {**SMS, "smstext": ""}),
        (550, {**SMS, "smstextid": "1"}),
        (550, without("smstext", smstextid="1", smstext2="au")),
        (550, without("smstext", smstextid="77")),
        (550, without("smsid")),
        (550, {**SMS, "smsid": "has-hyphen"}),
        (550, {**SMS, "smsid": "a" * 51}),
        (550, {**SMS, "smsid": "１"}),
        (550, {**SMS, "status": "2"}),
        (550, {**SMS, "mobilenumber": "0900000001"}),
        (550, {**SMS, "mobilenumber": "09000000001\n"}),
        (550, {**SMS, "mobilenumber": "05000000001"}),
        (550, {**SMS, "mobilenumber": "０９０００００００９９"}),
        (550, {**SMS, "mobilenumber": "0300000000", "mobilecareer": "a"}),
        (550, {**SMS, "mobilenumber": OTHER_NUMBER, "mobilecareer": "c"}),
        (550, {**SMS, "smstitle": "123"}),
        (550, {**SMS, "smstitle": "A"}),
        (550, {**SMS, "smstitle": "TwelveLetter"}),
        (550, {**SMS, "method": "2"}),
        (550, {**SMS, "method": "4", "ipphone": "0300000000"}),
        (550, LAND_LINE),
        (550, {**LAND_LINE, "mobilecareer": "b", "mobilenumber": "0000000001"}),
        (550, {**LAND_LINE, "mobilecareer": "b", "mobilenumber": "03000000011"}),
        (550, {**CALL_OUT, "holdingtime": ""}),
        (550, {**CALL_OUT, "repeatcall": ""}),
        (560, {**SMS, "mobilecareer": "5"}),
        (560, {**SMS, "mobilecareer": "12"}),
        (560, {**CALL_OUT, "mobilecareer": "c", "mobilenumber": "81900000000"}),
        (561, {**SMS, "method": "3"}),
        (561, {**SMS, "method": "0"}),
        (567, {**CALL_OUT, "holdingtime": "1000"}),
        (567, {**CALL_OUT, "holdingtime": "-1"}),
        (568, {**CALL_OUT, "repeatcall": "100"}),
        (615, {**SMS, "autitle": "1234"}),
        (616, {**SMS, "softbanktitle": "!"}),
    ],
)
def test_parameters_the_document_rules_out_are_refused_with_their_code(code: int, parameters: dict[str, str]) -> None:
    with running() as simulator:
        assert Sender(simulator).post(parameters) == code
        assert simulator.messages == ()


@pytest.mark.parametrize(
    "parameters",
    [
        {"mobilenumber": OTHER_NUMBER, "smstext": "no smsid, no report"},
        without("smstext", smstextid="1"),
        {**SMS, "smstext2": "for au"},
        {**SMS, "smsid": "a" * 50},
        {**SMS, "smstitle": "Elevenchar1"},
        {**SMS, "mobilecareer": "4", "mobilenumber": "02000000001"},
        {**SMS, "mobilecareer": "c", "mobilenumber": "81900000000"},
        {**SMS, "method": "6"},
        {**SMS, "method": "7"},
        {**SMS, "method": "2", "ipphone": "05000000000", "holdingtime": "0"},
        {**LAND_LINE, "mobilecareer": "b"},
        {**LAND_LINE, "mobilecareer": "b", "mobilenumber": OTHER_NUMBER},
        {**CALL_OUT, "holdingtime": "999", "repeatcall": "99"},
        {**SMS, "unheard": "of"},
    ],
)
def test_parameters_the_document_allows_are_accepted_by_post_and_by_get(parameters: dict[str, str]) -> None:
    with running() as simulator:
        assert Sender(simulator).post(parameters) == 200
        assert Sender(simulator).get(parameters) == 200
        assert [message.parameters for message in simulator.messages] == [parameters, parameters]


def test_a_title_is_refused_while_titles_are_disabled() -> None:
    with running(titles_enabled=False) as simulator:
        sender = Sender(simulator)
        assert [sender.post(smstitle="Shop"), sender.post(autitle="Shop"), sender.post()] == [617, 617, 200]


def test_a_text_is_not_needed_for_a_call_when_so_configured() -> None:
    with running(text_required_without_sms=False) as simulator:
        assert Sender(simulator).post({k: v for k, v in CALL_OUT.items() if k != "smstext"}) == 200
        assert Sender(simulator).post(without("smstext")) == 550


def test_a_repeated_smsid_is_accepted_again() -> None:
    with running() as simulator:
        assert [Sender(simulator).post(), Sender(simulator).post()] == [200, 200]
        assert [message.smsid for message in simulator.messages] == ["a1", "a1"]


def test_an_address_of_8190_bytes_is_read_and_one_more_is_414() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        url = f"{simulator.url}?{urlencode(SMS)}&other="
        path = url.removeprefix(f"http://{urlsplit(url).netloc}")
        padding = "x" * (8190 - len(url))
        assert sender.exchange("GET", path + padding)[0] == 200
        assert sender.exchange("GET", path + padding + "x") == (414, b"414")
        assert sender.post(other="x" * 10_000) == 200


def test_a_body_that_is_no_form_carries_no_parameters() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        body = json.dumps(SMS).encode()
        assert sender.exchange("POST", "/sms/api/", body, {"Content-Type": "application/json"})[0] == 550


def test_the_contracted_count_is_402_once_used_up() -> None:
    with running(contracted_messages=2) as simulator:
        assert [Sender(simulator).post() for _ in range(3)] == [200, 200, 402]


def test_an_address_that_is_not_registered_is_557() -> None:
    with running(allowed_addresses=["192.0.2.1"]) as simulator:
        assert Sender(simulator).post() == 557
        simulator.provider.configure({"allowed_addresses": ["192.0.2.1", "127.0.0.1"]})
        assert Sender(simulator).post() == 200


@pytest.mark.parametrize(
    ("settings", "status", "body"),
    [
        ({}, 550, b"550"),
        ({"http_status_style": "always_200"}, 200, b"550"),
        ({"http_status_style": "always_200", "body_style": "json"}, 200, b'{"result": "550"}'),
        ({"body_style": "html"}, 550, b"<html><body>550</body></html>"),
    ],
)
def test_the_answer_is_the_bare_code_in_the_configured_form(settings: dict[str, str], status: int, body: bytes) -> None:
    with running(changes=settings) as simulator:
        assert Sender(simulator).exchange("GET", "/sms/api/") == (status, body)


def test_exactly_eighty_are_accepted_in_any_second(clock: ManualClock) -> None:
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
def test_a_window_lets_in_as_many_as_its_second_holds_and_never_more(
    steps: list[float], kind: Literal["sliding", "fixed"]
) -> None:
    window, now, let_in = RateWindow(), 1000.0, list[float]()
    for step in steps:
        now += step
        in_this_second = [t for t in let_in if (int(t) == int(now) if kind == "fixed" else t > now - 1)]
        assert window.is_full(now, limit=3, kind=kind) == (len(in_this_second) >= 3)
        if len(in_this_second) < 3:
            window.count(now)
            let_in.append(now)


def test_refusals_use_up_the_second_only_when_so_configured(clock: ManualClock) -> None:
    for refusals_count, expected in [(False, [550, 200, 200, 503]), (True, [550, 200, 503, 503])]:
        with running(clock, requests_per_second=2, refusals_count=refusals_count) as simulator:
            sender = Sender(simulator)
            assert [sender.post(status="9"), *(sender.post() for _ in range(3))] == expected


def test_when_refusals_count_whoever_keeps_knocking_stays_out(clock: ManualClock) -> None:
    with running(clock, requests_per_second=1, refusals_count=True) as simulator:
        sender = Sender(simulator)
        answers = []
        for _ in range(5):
            answers.append(sender.post())
            clock.now += 0.9
        assert answers == [200, 503, 503, 503, 503]


def test_ten_wrong_credentials_in_a_row_block_the_address_for_good() -> None:
    with running() as simulator:
        wrong, right = Sender(simulator, password="wrong"), Sender(simulator)
        assert [wrong.post() for _ in range(11)] == [401] * 10 + [555]
        assert right.post() == 555
        assert right.control("GET", "blocked") == (200, {"blocked": ["127.0.0.1"]})
        assert right.control("POST", "unblock", {"address": "127.0.0.1"}) == (200, {"blocked": []})
        assert right.post() == 200


@pytest.mark.parametrize(("parameters", "code"), [(SMS, 200), ({}, 550)])
def test_any_other_answer_breaks_the_streak(parameters: dict[str, str], code: int) -> None:
    with running() as simulator:
        wrong, right = Sender(simulator, password="wrong"), Sender(simulator)
        assert [wrong.post() for _ in range(9)] == [401] * 9
        assert right.post(parameters) == code
        assert [wrong.post() for _ in range(10)] == [401] * 10
        assert right.post() == 555


@pytest.mark.parametrize("authorization", ["", "Basic", "Basic !!!", "Bearer abc", "Basic dGVzdGVy"])
def test_credentials_that_cannot_be_read_are_wrong(authorization: str) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.headers = {"Authorization": authorization}
        assert sender.post() == 401


@pytest.mark.parametrize(
    ("text", "carrier", "long_sms", "shown"),
    [
        ("a" * 141, None, False, "a" * 140),
        ("あ" * 71, None, False, "あ" * 70),
        ("a" * 80 + "あ", None, False, "a" * 70),
        ("a" * 100 + "あ" * 30, AU, False, "a" * 100 + "あ" * 20),
        ("a" * 139 + "あ", AU, False, "a" * 139),
        ("a" * 139 + "\nb", None, False, "a" * 139),
        ("あ" * 68 + "\nbc", "1", False, "あ" * 68 + "\n"),
        ("a\r\nb\rc", "2", False, "a\nb\nc"),
        ("ｱ" * 141, None, False, "ｱ" * 140),
        ("あ" * 671, None, True, "あ" * 670),
        ("a" * 671, AU, True, "a" * 670),
        ("①😀🇯", None, False, "???"),
        ("¥100", None, False, "\\100"),
        ("～〜－−", None, False, "～〜－−"),
    ],
)
def test_a_text_arrives_converted_and_silently_cut(text: str, carrier: str | None, long_sms: bool, shown: str) -> None:
    assert text_on_phone(text, carrier=carrier, long_sms=long_sms) == shown


@given(
    text=st.text(st.sampled_from("ab\nあ漢ｱ～①😀"), max_size=200),
    carrier=st.sampled_from([None, "1", AU]),
    long_sms=st.booleans(),
)
def test_what_arrives_would_arrive_again_and_fits(text: str, carrier: str | None, long_sms: bool) -> None:
    shown = text_on_phone(text, carrier=carrier, long_sms=long_sms)
    assert text_on_phone(shown, carrier=carrier, long_sms=long_sms) == shown
    assert len(shown.encode("cp932")) + shown.count("\n") <= (1340 if long_sms else 140)
    assert re.sub("[①😀]", "?", text).startswith(shown)


def test_what_the_phone_received_is_kept_with_the_message() -> None:
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
        asked = {**SMS, "smstext": "あ & = +", "smstitle": "Shop"}
        Sender(simulator).post(asked, unheard="of")
        clock.now += 60
        assert simulator.deliver_due() > 0
        first, second = receiver.fields()
        token = first.pop("token", None), second.pop("token", None)
        assert (receiver.received[0].method, token) == (method, ("t", "t") if method == "GET" else (None, None))
        assert first == {**dict.fromkeys(ECHOED, ""), **asked, "status": "14"}
        assert second == {**first, "status": "1"}


def test_reports_may_carry_the_japanese_name(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url, status_style="name") as simulator:
        Sender(simulator).post()
        clock.now += 60
        simulator.deliver_due()
        assert receiver.values == ["処理中", "送信済"]


def test_reports_come_when_the_clock_says_so_and_only_if_asked_for(
    receiver: ReportReceiver, clock: ManualClock
) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        Sender(simulator).post(smsid="asked")
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
        ({"report_copies": 2}, ["14", "14", "1", "1"]),
        ({"report_order": "reversed"}, ["1", "14"]),
        ({"report_time_factor": 0}, ["14", "1"]),
        ({"report_url": None}, []),
    ],
)
def test_duplicates_and_reordering_are_configuration(
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


@pytest.mark.parametrize(("retries", "answers"), [(0, [500, 302]), (2, [500, 302, 503, 200, 200])])
def test_a_report_not_taken_is_noted_and_tried_again_only_if_configured(
    receiver: ReportReceiver, clock: ManualClock, retries: int, answers: list[int]
) -> None:
    receiver.answers = [(500, b""), (302, b""), (503, b"")]
    with running(clock, report_url=receiver.url, report_retries=retries) as simulator:
        Sender(simulator).post()
        for _ in range(4):
            clock.now += 60
            simulator.deliver_due()
        assert [report.answer for report in simulator.messages[0].reports] == answers
        assert {each.path for each in receiver.received} == {"/reports"}


def test_a_report_nobody_listens_for_is_noted_with_its_problem(clock: ManualClock) -> None:
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
        ("09000000001", ["14", "1"]),
        ("09000000002", ["14", "18", "1"]),
        ("09000000003", ["14", "0"]),
        ("09000000004", []),
        ("09000000008", ["1", "18", "14", "1", "14", "18"]),
        ("09000000009", ["14", "99", "1"]),
        (OTHER_NUMBER, ["14", "1"]),
    ],
)
def test_some_numbers_always_end_a_certain_way(
    receiver: ReportReceiver, clock: ManualClock, number: str, values: list[str]
) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        assert Sender(simulator).post(mobilenumber=number) == 200
        clock.now += 60
        simulator.deliver_due()
        assert receiver.values == values


def test_the_invalid_number_is_known_to_the_provider_alone(receiver: ReportReceiver, clock: ManualClock) -> None:
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
        assert [(seen.code, seen.outcome) for seen in simulator.requests] == [(200, "held")]
        assert len(simulator.messages) == 1


def test_the_number_that_resets_accepts_nothing() -> None:
    with running() as simulator:
        with pytest.raises(ConnectionResetError):
            Sender(simulator).post(mobilenumber="09000000006")
        assert simulator.messages == ()
        assert [(seen.code, seen.outcome) for seen in simulator.requests] == [(None, "reset")]


def test_the_slow_number_answers_when_the_clock_says_so(clock: ManualClock) -> None:
    with running(clock) as simulator:
        answers: list[int] = []
        with in_thread(lambda: answers.append(Sender(simulator).post(mobilenumber="09000000007"))):
            assert simulator.wait_until(lambda: len(simulator.messages) == 1)
            assert answers == []
            clock.now += 2
            simulator.wake()
        assert answers == [200]


def test_the_number_whose_report_comes_first_answers_after_it(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        answers: list[int] = []
        with in_thread(lambda: answers.append(Sender(simulator).post(mobilenumber="09000000010"))):
            assert simulator.wait_until(lambda: len(simulator.messages) == 1)
            assert answers == []
            simulator.deliver_due()
        assert answers == [200]
        assert receiver.values == ["14"]


def test_reports_are_sent_by_themselves_in_real_time(receiver: ReportReceiver) -> None:
    config = SimulatorConfig(user=USER, password=PASSWORD, report_url=receiver.url)
    with MediaSmsSimulator(config) as simulator:
        assert Sender(simulator).post(mobilenumber="09000000001") == 200
        assert simulator.wait_until(lambda: len(simulator.messages[0].reports) == 2)
    assert receiver.values == ["14", "1"]


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ({"kind": "answer", "code": 556}, [(556, "answered"), (200, "answered")]),
        ({"kind": "answer", "code": 402, "times": 2}, [(402, "answered"), (402, "answered"), (200, "answered")]),
        ({"kind": "delay", "seconds": 0}, [(200, "answered"), (200, "answered")]),
    ],
)
def test_scripted_answers_come_first_and_as_often_as_scripted(
    fault: dict[str, object], seen: list[tuple[int, str]]
) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        assert sender.control("POST", "faults", fault)[0] == 200
        assert [sender.post() for _ in seen] == [code for code, _ in seen]
        assert [(request.code, request.outcome) for request in simulator.requests] == seen
        assert len(simulator.messages) == sum(code == 200 for code, _ in seen)


def test_a_fault_for_one_number_waits_for_that_number() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", {"kind": "answer", "code": 503, "match_number": "09000000002"})
        assert [sender.post(), sender.post(mobilenumber="09000000002"), sender.post()] == [200, 503, 200]
        assert sender.control("GET", "faults")[1] == {"faults": []}


@pytest.mark.parametrize(
    ("fault", "problem", "accepted"),
    [
        ({"kind": "reset_before"}, ConnectionResetError, 0),
        ({"kind": "accept_then_drop"}, http.client.RemoteDisconnected, 1),
        ({"kind": "accept_then_hold", "seconds": 0}, http.client.RemoteDisconnected, 1),
        ({"kind": "cut_answer"}, http.client.IncompleteRead, 1),
    ],
)
def test_scripted_losses_accept_exactly_what_they_say(
    fault: dict[str, object], problem: type[Exception], accepted: int
) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", fault)
        with pytest.raises(problem):
            sender.post()
        assert len(simulator.messages) == accepted
        assert sender.post() == 200


@pytest.mark.parametrize("accept", [True, False])
def test_scripted_garbage_is_answered_word_for_word(accept: bool) -> None:
    fault = {"kind": "garbage", "body": "<p>down for maintenance", "http_status": 502, "accept": accept}
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", [fault])
        answer = sender.exchange("GET", f"/sms/api/?{urlencode(SMS)}")
        assert answer == (502, b"<p>down for maintenance")
        assert len(simulator.messages) == accept


def test_scripted_401s_lead_to_the_block_like_any_other() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        sender.control("POST", "faults", {"kind": "answer", "code": 401, "times": 10})
        assert [sender.post() for _ in range(11)] == [401] * 10 + [555]


def test_the_control_endpoint_shows_messages_and_requests(receiver: ReportReceiver, clock: ManualClock) -> None:
    with running(clock, report_url=receiver.url) as simulator:
        sender = Sender(simulator)
        sender.post()
        sender.post(smsid="b2")
        sender.post({})
        clock.now += 60
        simulator.deliver_due()
        _, shown = sender.control("GET", "messages?smsid=b2")
        (item,) = shown["items"]
        assert item["parameters"] == {**SMS, "smsid": "b2"}
        assert item["received_by_phone"] == "hello"
        assert [(report["status"], report["answer"]) for report in item["reports"]] == [(14, 200), (1, 200)]
        assert [transition["status"] for transition in item["transitions"]] == [6, 2, 14, 1]
        assert sender.control("GET", f"messages?number={OTHER_NUMBER}")[1]["count"] == 2
        _, seen = sender.control("GET", "requests")
        assert (seen["count"], seen["codes"]) == (3, {"200": 2, "550": 1})
        assert seen["items"][2]["cause"] == "mobilenumber is missing"


def test_the_control_endpoint_changes_credentials_numbers_and_settings(
    receiver: ReportReceiver, clock: ManualClock
) -> None:
    with running(clock) as simulator:
        sender = Sender(simulator)
        assert sender.control("POST", "credentials", {"user": "new", "password": "newer"}) == (200, {})
        assert [sender.post(), Sender(simulator, "new", "newer").post()] == [401, 200]
        status, shown = sender.control("POST", "config", {"report_url": receiver.url, "requests_per_second": 7})
        assert (status, shown["requests_per_second"], "password" in shown) == (200, 7, False)
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
        shown = sender.control("GET", "config")[1]
        assert (shown["requests_per_second"], shown["report_url"]) == (80, receiver.url)
        assert sender.post() == 200


def test_the_control_endpoint_pushes_any_report_at_once(receiver: ReportReceiver) -> None:
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
        ("config", {"no_such": 1}),
        ("config", {"requests_per_second": -1}),
        ("config", {"report_url": "file:///etc/passwd"}),
        ("config", {"window": []}),
        ("config", [1]),
        ("faults", {"kind": "answer"}),
        ("faults", {"kind": "nonsense"}),
        ("faults", {"kind": "delay"}),
        ("faults", {"kind": "reset_before", "typo": 1}),
        ("numbers", {"number": OTHER_NUMBER, "transitions": [{}]}),
        ("report", {"smsid": "a1"}),
        ("credentials", {"user": "only"}),
    ],
)
def test_a_control_request_that_makes_no_sense_changes_nothing(path: str, body: object) -> None:
    with running() as simulator:
        sender = Sender(simulator)
        before = sender.control("GET", "config"), sender.control("GET", "faults"), sender.control("GET", "numbers")
        status, answer = sender.control("POST", path, body)
        assert (status, answer.keys()) == (400, {"error"})
        assert before == (
            sender.control("GET", "config"), sender.control("GET", "faults"), sender.control("GET", "numbers"),
        )  # fmt: skip
        assert sender.post() == 200


def test_unknown_paths_and_broken_json_are_answered_as_such() -> None:
    with running() as simulator:
        sender = Sender(simulator)
        assert sender.control("GET", "nothing")[0] == 404
        assert sender.exchange("POST", "/control/faults", b"{")[0] == 400
        assert sender.exchange("GET", "/elsewhere")[0] == 404
        assert sender.exchange("PUT", "/sms/api/")[0] == 501


def test_a_request_cut_anywhere_is_as_if_it_had_never_come() -> None:
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
            used = connection.sock
            response = connection.getresponse()
            response.read()
            codes.append(response.status)
            assert connection.sock is used
        connection.close()
        assert codes == [200, 200, 200]


def test_the_log_shows_codes_and_ids_but_no_number_text_or_credential(receiver: ReportReceiver) -> None:
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


def test_stopping_leaves_no_thread_even_with_connections_open_and_answers_owed() -> None:
    before = set(threading.enumerate())
    with running(ManualClock(), by_hand=False) as simulator:
        sender = Sender(simulator)
        idle = sender.connect()
        idle.connect()
        waiting = sender.connect()
        waiting.request("GET", f"/sms/api/?{urlencode({**SMS, 'mobilenumber': '09000000005'})}", headers=sender.headers)
        assert simulator.wait_until(lambda: len(simulator.messages) == 1)
    assert set(threading.enumerate()) == before
    with pytest.raises(http.client.RemoteDisconnected):
        waiting.getresponse()
    idle.close()
    waiting.close()


def test_stopping_breaks_off_a_report_that_nobody_answers(receiver: ReportReceiver) -> None:
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


def test_it_runs_by_itself_and_ends_when_asked() -> None:
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
    """Do `work` beside the body of the `with`, and let its failure be the test's."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - handed to the test below
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(timeout=10)
    assert not thread.is_alive()
    assert failures == []

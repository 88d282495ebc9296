"""The simulator's telephone exchange against the document: holding times, lines, callbacks, calls, numbers read out."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.simulators.mediasms import MediaSmsSimulator, SimulatorConfig
from sandbox.simulators.mediasms.ivr_requests import closing_time
from tests.customer import Answered, ManualClock, Receiver, answer_of, connection_to, json_or_nothing

USER, PASSWORD = "tester", "correct-horse"
NUMBER, LINE, OTHER_LINE = "09000000099", "05000000001", "05000000002"
LAND_LINE = "0300000099"
CALL_IN = {
    "mobilenumber": NUMBER, "smstext": "text", "smsid": "v1", "status": "1",
    "method": "4", "ipphone": LINE, "holdingtime": "10",
}  # fmt: skip
CALL_OUT = {**CALL_IN, "method": "5", "repeatcall": "2"}
LISTED = {
    "mobilecareer", "mobilenumber", "smstitle", "smstextid", "smstext", "smstext2",
    "method", "ipphone", "holdingtime", "repeatcall",
}  # fmt: skip


class Caller:
    """Sends requests and control requests to one simulator, sharing no code with ours."""

    def __init__(self, simulator: MediaSmsSimulator) -> None:
        self.simulator = simulator
        self._authorization = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def ask(self, parameters: Mapping[str, str] = CALL_IN, **more: str) -> int:
        """The code that a request is answered with."""
        headers = {"Authorization": self._authorization, "Content-Type": "application/x-www-form-urlencoded"}
        form = urlencode({**parameters, **more}).encode()
        return self._answer("POST", urlsplit(self.simulator.url).path, form, headers).status

    def control(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        answer = self._answer(method, f"/control/{path}", json_or_nothing(body))
        return answer.status, answer.json

    def dial(self, number: str = NUMBER, line: str = LINE, **more: object) -> tuple[str, str]:
        """What the caller hears, and why; everything that is due is done afterwards."""
        status, told = self.control("POST", "dial", {"number": number, "line": line, **more})
        assert status == 200
        self.simulator.deliver_due()
        return told["heard"], told["why"]

    def later(self, seconds: float) -> None:
        assert self.control("POST", "clock", {"advance_s": seconds})[0] == 200
        self.simulator.deliver_due()

    def verification(self, smsid: str = "v1") -> dict[str, Any]:
        (item,) = self.control("GET", f"ivr?smsid={smsid}")[1]["items"]
        assert isinstance(item, dict)
        return item

    def _answer(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] = {}) -> Answered:
        return answer_of(connection_to(self.simulator.url), method, path, body, headers)


class Customer(Receiver):
    """The customer's end of both webhooks: `/ivr` and `/delivery`."""

    @property
    def callbacks(self) -> list[dict[str, str]]:
        return self.fields("/ivr")

    @property
    def reports(self) -> list[dict[str, str]]:
        return self.fields("/delivery")

    @property
    def codes_reported(self) -> list[tuple[str, str | None]]:
        return [(fields["status"], fields.get("authcode")) for fields in self.reports]


@pytest.fixture
def customer() -> Iterator[Customer]:
    with Customer() as server:
        yield server


@contextmanager
def exchange(customer: Customer, **settings: object) -> Iterator[Caller]:
    addresses = {"report_url": customer.at("/delivery"), "ivr_url": customer.at("/ivr")}
    config = SimulatorConfig(user=USER, password=PASSWORD).with_changes({**addresses, **settings})
    with MediaSmsSimulator(config, clock=ManualClock(), reports_by_hand=True) as simulator:
        yield Caller(simulator)


@pytest.fixture
def caller(customer: Customer) -> Iterator[Caller]:
    with exchange(customer) as one:
        yield one


def without(name: str, parameters: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if key != name}


@pytest.mark.parametrize(
    ("code", "parameters"),
    [
        (200, CALL_IN),
        (200, {**CALL_IN, "method": "2"}),
        (200, CALL_OUT),
        (200, {**CALL_IN, "method": "6"}),
        (200, {**CALL_IN, "method": "7"}),
        (561, {**CALL_IN, "method": "3"}),
        (550, without("ipphone", CALL_IN)),
        (550, {**CALL_IN, "ipphone": "0500000001"}),
        (550, {**CALL_IN, "ipphone": "03000000001"}),
        (200, {**CALL_IN, "holdingtime": "0"}),
        (200, {**CALL_IN, "holdingtime": "999"}),
        (567, {**CALL_IN, "holdingtime": "1000"}),
        (567, {**CALL_IN, "holdingtime": "x"}),
        (200, without("holdingtime", CALL_IN)),
        (550, without("holdingtime", CALL_OUT)),
        (550, without("repeatcall", CALL_OUT)),
        (200, {**CALL_OUT, "repeatcall": "99"}),
        (568, {**CALL_OUT, "repeatcall": "100"}),
        (560, {**CALL_OUT, "mobilecareer": "c", "mobilenumber": "15550000001"}),
        (550, {**CALL_IN, "mobilenumber": LAND_LINE}),
        (200, {**CALL_IN, "mobilenumber": LAND_LINE, "mobilecareer": "a"}),
        (200, {**CALL_IN, "mobilenumber": LAND_LINE, "mobilecareer": "b", "method": "2"}),
        (200, {**CALL_OUT, "mobilenumber": LAND_LINE, "mobilecareer": "b"}),
        (550, {**CALL_IN, "mobilenumber": LAND_LINE, "mobilecareer": "b", "method": "1"}),
    ],
)
def test_a_request_is_taken_or_refused_as_the_parameter_table_says(
    caller: Caller, code: int, parameters: dict[str, str]
) -> None:
    assert caller.ask(parameters) == code
    listed = caller.control("GET", "ivr")[1]["count"]
    assert listed == (code == 200 and parameters["method"] in {"2", "4", "5"})


@pytest.mark.parametrize("method", ["2", "4"])
def test_the_right_number_on_the_right_line_succeeds_once_and_is_told_once(
    caller: Caller, customer: Customer, method: str
) -> None:
    caller.ask(method=method)
    assert [caller.dial() for _ in range(3)] == [
        ("success", "open"),
        ("failure", "already_verified"),
        ("failure", "already_verified"),
    ]
    caller.later(3600)
    assert customer.callbacks == [{**dict.fromkeys(LISTED, ""), **without_report_fields(CALL_IN), "method": method}]


def without_report_fields(parameters: Mapping[str, str]) -> dict[str, str]:
    return without("smsid", without("status", parameters))


def test_a_call_is_told_once_even_if_the_customer_does_not_take_it(caller: Caller, customer: Customer) -> None:
    customer.answers = [(500, b"")]
    caller.ask()
    caller.dial()
    caller.later(3600)
    assert len(customer.callbacks) == 1
    assert caller.verification()["callbacks"][0]["answer"] == 500


@pytest.mark.parametrize(
    ("call", "heard"),
    [
        ({"line": OTHER_LINE}, ("failure", "wrong_line")),
        ({"number": "09000000098"}, ("failure", "not_asked_for")),
        ({"number": ""}, ("failure", "not_asked_for")),
        ({"hang_up": True}, ("nothing", "hung_up")),
    ],
)
def test_no_other_call_is_told_and_the_request_stays_open(
    caller: Caller, customer: Customer, call: dict[str, object], heard: tuple[str, str]
) -> None:
    caller.ask()
    assert caller.dial(**call) == heard  # type: ignore[arg-type]
    assert customer.callbacks == []
    assert caller.verification()["open"]
    assert caller.dial() == ("success", "open")


def test_a_call_is_in_time_until_the_holding_time_has_passed(caller: Caller, customer: Customer) -> None:
    caller.ask(smsid="first")
    caller.later(599.5)
    assert caller.dial() == ("success", "open")
    caller.ask(smsid="second")
    caller.later(600)
    assert caller.dial() == ("failure", "too_late")
    assert len(customer.callbacks) == 1


@given(minutes=st.integers(min_value=1, max_value=999), opened=st.floats(min_value=0, max_value=1e6))
def test_the_holding_time_is_in_minutes(minutes: int, opened: float) -> None:
    config = SimulatorConfig(user=USER, password=PASSWORD)
    assert closing_time({"holdingtime": str(minutes)}, config, opened) == opened + minutes * 60


def test_no_holding_time_is_the_configured_one(customer: Customer) -> None:
    with exchange(customer, default_holding_minutes=3) as caller:
        caller.ask(without("holdingtime", CALL_IN))
        shown = caller.verification()
        assert shown["closes_s"] - shown["opened_s"] == 180


@pytest.mark.parametrize(("meaning", "heard"), [("closed", "failure"), ("no_end", "success")])
def test_a_holding_time_of_zero_is_no_time_or_no_end_as_configured(
    customer: Customer, meaning: str, heard: str
) -> None:
    with exchange(customer, holding_zero=meaning) as caller:
        caller.ask(holdingtime="0")
        caller.later(100_000)
        assert caller.dial()[0] == heard


def test_several_open_requests_for_one_number_and_line_are_verified_newest_first(caller: Caller) -> None:
    for smsid in ("old", "new"):
        caller.ask(smsid=smsid)
    order = [caller.control("POST", "dial", {"number": NUMBER, "line": LINE})[1]["smsid"] for _ in range(3)]
    assert order == ["new", "old", None]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_callback_comes_by_the_configured_method_and_with_an_smsid_only_if_so_configured(
    customer: Customer, method: str
) -> None:
    with exchange(customer, ivr_method=method, ivr_with_smsid=True) as caller:
        caller.ask()
        caller.dial()
    (told,) = customer.received
    assert (told.method, told.fields["smsid"], {*told.fields}) == (method, "v1", {*LISTED, "smsid"})


@pytest.mark.parametrize(
    ("style", "number", "written"),
    [
        ("as_asked", NUMBER, "09000000099"),
        ("plus_81", NUMBER, "+819000000099"),
        ("plus_81", LAND_LINE, "+81300000099"),
        ("hyphens", NUMBER, "090-0000-0099"),
        ("hyphens", LAND_LINE, "03-0000-0099"),
    ],
)
def test_a_callback_writes_the_number_in_the_configured_form(
    customer: Customer, style: str, number: str, written: str
) -> None:
    with exchange(customer, ivr_number_style=style) as caller:
        caller.ask(mobilenumber=number, mobilecareer="b")
        assert caller.dial(number)[0] == "success"
    assert [fields["mobilenumber"] for fields in customer.callbacks] == [written]


def test_callbacks_can_be_copied_and_delayed(customer: Customer) -> None:
    with exchange(customer, ivr_copies=2, ivr_after_s=30) as caller:
        caller.ask()
        caller.dial()
        assert customer.callbacks == []
        caller.later(31)
        assert len(customer.callbacks) == 2


def test_the_special_numbers_are_told_of_twice_and_late(caller: Caller, customer: Customer) -> None:
    for number in ("09000000011", "09000000012"):
        caller.ask(mobilenumber=number)
        caller.dial(number)
    told = []
    for _ in range(3):
        told.append([fields["mobilenumber"][-2:] for fields in customer.callbacks])
        caller.later(5)
    assert told == [["11"], ["11", "11"], ["11", "11", "12"]]


def test_the_number_that_dials_by_itself_is_told_of_before_the_answer(customer: Customer) -> None:
    answers: list[int] = []
    with exchange(customer) as caller:
        simulator = caller.simulator
        asking = threading.Thread(target=lambda: answers.append(caller.ask(mobilenumber="09000000013")))
        asking.start()
        assert simulator.wait_until(lambda: len(simulator.messages) == 1)
        assert answers == []
        simulator.deliver_due()
        asking.join(timeout=10)
    assert answers == [200]
    assert len(customer.callbacks) == 1


def test_any_callback_can_be_pushed_late_repeated_or_foreign(caller: Caller, customer: Customer) -> None:
    caller.ask()
    caller.later(3600)
    assert caller.control("POST", "ivr", {"smsid": "v1"})[1]["answer"] == 200
    foreign = {"mobilenumber": "09000000077", "ipphone": OTHER_LINE, "method": "4", "smsid": "stranger"}
    caller.control("POST", "ivr", {"parameters": foreign})
    assert customer.callbacks == [
        {**dict.fromkeys(LISTED, ""), **without_report_fields(CALL_IN)},
        {**dict.fromkeys(LISTED, ""), **foreign},
    ]
    assert len(caller.verification()["callbacks"]) == 1


def test_a_call_in_sends_no_sms_and_an_sms_with_it_is_reported_as_usual(caller: Caller, customer: Customer) -> None:
    caller.ask(smsid="alone")
    caller.ask(smsid="both", method="2")
    caller.later(60)
    assert [(fields["smsid"], fields["status"]) for fields in customer.reports] == [("both", "14"), ("both", "1")]
    assert [message.received_by_phone for message in caller.simulator.messages] == [None, "text"]


def test_a_called_phone_hears_the_number_that_its_report_then_carries(caller: Caller, customer: Customer) -> None:
    caller.ask(CALL_OUT)
    assert caller.verification()["read_out"] is None
    caller.later(60)
    shown = caller.verification()
    assert [call["ending"] for call in shown["calls"]] == ["answered"]
    assert len(shown["read_out"]) == 4
    assert shown["read_out"].isdigit()
    assert customer.codes_reported == [("14", None), ("1", shown["read_out"])]
    assert customer.callbacks == []


def test_each_called_phone_hears_a_number_of_its_own_in_the_configured_length(customer: Customer) -> None:
    with exchange(customer, authcode_digits=6, authcode_in="every_report") as caller:
        for smsid in ("v1", "v2"):
            caller.ask(CALL_OUT, smsid=smsid)
        caller.later(60)
        read_out = [caller.verification(smsid)["read_out"] for smsid in ("v1", "v2")]
    assert [len(code) for code in read_out] == [6, 6]
    assert read_out[0] != read_out[1]
    codes = {(fields["smsid"], fields["status"]): fields["authcode"] for fields in customer.reports}
    first, second = read_out
    assert codes == {("v1", "14"): first, ("v1", "1"): first, ("v2", "14"): second, ("v2", "1"): second}


@pytest.mark.parametrize("repeats", [0, 2, 99])
def test_a_phone_that_nobody_answers_is_called_as_often_as_asked_and_reads_nothing_out(
    caller: Caller, customer: Customer, repeats: int
) -> None:
    caller.ask(CALL_OUT, mobilenumber="09000000014", repeatcall=str(repeats))
    caller.later(599)
    shown = caller.verification()
    assert [call["ending"] for call in shown["calls"]] == ["not_answered"] * (1 + repeats)
    assert shown["read_out"] is None
    assert customer.codes_reported == [("14", None), ("0", None)]


def test_no_call_begins_after_the_holding_time(customer: Customer) -> None:
    with exchange(customer, ring_s=4, call_again_after_s=20) as caller:  # five rings: a call every 40 seconds
        caller.ask(CALL_OUT, mobilenumber="09000000014", repeatcall="99", holdingtime="2")
        caller.later(100_000)
        assert len(caller.verification()["calls"]) == 3


def test_a_phone_that_answers_the_third_call_is_not_called_again(caller: Caller) -> None:
    caller.ask(CALL_OUT, mobilenumber="09000000016", repeatcall="9")
    caller.later(599)
    endings = [call["ending"] for call in caller.verification()["calls"]]
    assert endings == ["not_answered", "not_answered", "answered"]


def test_whoever_hangs_up_has_answered_and_hears_no_number(caller: Caller, customer: Customer) -> None:
    caller.ask(CALL_OUT, mobilenumber="09000000015", repeatcall="9")
    caller.later(599)
    shown = caller.verification()
    assert ([call["ending"] for call in shown["calls"]], shown["read_out"]) == (["hung_up"], None)
    assert customer.codes_reported == [("14", None), ("0", None)]


def test_what_a_phone_does_with_calls_can_be_scripted(caller: Caller) -> None:
    script = {
        "number": NUMBER,
        "calls": [{"ending": "not_answered", "after_rings": 9}, {"ending": "answered", "after_rings": 1}],
        "ivr_pushed_after_s": [1, 2],
    }
    status, shown = caller.control("POST", "numbers", script)
    assert (status, {name: shown[name] for name in ("calls", "ivr_pushed_after_s")}) == (
        200,
        {name: script[name] for name in ("calls", "ivr_pushed_after_s")},
    )
    caller.ask(CALL_OUT)
    caller.later(60)
    calls = [(call["ending"], call["rings"]) for call in caller.verification()["calls"]]
    assert calls == [("not_answered", 9), ("answered", 1)]


def test_dialling_in_does_nothing_for_a_number_that_is_to_be_called(caller: Caller, customer: Customer) -> None:
    caller.ask(CALL_OUT)
    assert caller.dial() == ("failure", "not_asked_for")
    assert customer.callbacks == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("dial", {}),
        ("dial", {"number": NUMBER}),
        ("dial", {"number": NUMBER, "line": LINE, "hang_up": 1}),
        ("ivr", {"parameters": {"method": 4}}),
        ("clock", {"advance_s": -1}),
        ("clock", {}),
        ("numbers", {"number": NUMBER, "calls": [{"ending": "busy"}]}),
        ("numbers", {"number": NUMBER, "calls": ["answered"]}),
        ("config", {"ivr_url": "ftp://127.0.0.1/"}),
    ],
)
def test_a_control_request_that_makes_no_sense_changes_nothing(
    caller: Caller, customer: Customer, path: str, body: object
) -> None:
    caller.ask()
    before = caller.control("GET", "ivr"), caller.control("GET", "clock"), caller.control("GET", "numbers")
    status, answer = caller.control("POST", path, body)
    assert (status, answer.keys()) == (400, {"error"})
    assert before == (caller.control("GET", "ivr"), caller.control("GET", "clock"), caller.control("GET", "numbers"))
    assert customer.received == []


def test_a_reset_forgets_verifications_and_keeps_where_callbacks_go(caller: Caller, customer: Customer) -> None:
    caller.ask()
    caller.ask(CALL_OUT, smsid="v2")
    before = caller.control("GET", "clock")[1]["now_s"]
    caller.control("POST", "reset", {})
    caller.later(60)
    assert caller.control("GET", "ivr")[1] == {"count": 0, "items": []}
    assert caller.dial() == ("failure", "not_asked_for")
    assert caller.control("GET", "config")[1]["ivr_url"] == customer.at("/ivr")
    assert caller.control("GET", "clock")[1]["now_s"] == before + 60
    assert customer.received == []


def test_calls_and_callbacks_happen_by_themselves_in_real_time(customer: Customer) -> None:
    config = SimulatorConfig(
        user=USER, password=PASSWORD, ivr_url=customer.at("/ivr"), report_url=customer.at("/delivery"), ring_s=0.0
    )
    with MediaSmsSimulator(config) as simulator:
        caller = Caller(simulator)
        caller.ask()
        caller.ask(CALL_OUT, smsid="v2")
        caller.control("POST", "dial", {"number": NUMBER, "line": LINE})
        assert simulator.wait_until(lambda: bool(simulator.messages[0].callbacks))
        assert simulator.wait_until(lambda: len(simulator.messages[1].reports) == 2)
    assert len(customer.callbacks) == 1
    assert customer.codes_reported[-1][1] is not None


def test_the_log_shows_neither_numbers_nor_what_was_read_out(customer: Customer) -> None:
    lines: list[str] = []
    config = SimulatorConfig(
        user=USER, password=PASSWORD, ivr_url=customer.at("/ivr"), report_url=customer.at("/delivery")
    )
    with MediaSmsSimulator(config, clock=ManualClock(), log=lines.append, reports_by_hand=True) as simulator:
        caller = Caller(simulator)
        caller.ask()
        caller.dial()
        caller.ask(CALL_OUT, smsid="v2", mobilenumber="09000000001")
        caller.later(60)
        read_out = caller.verification("v2")["read_out"]
        shown = repr(simulator.provider.exchange.requests)
    assert lines == [
        "200 answered *******0099 v1",
        "call open *******0099",
        "callback v1 -> 200",
        "200 answered *******0001 v2",
        "called *******0001: answered",
        "report 14 v2 -> 200",
        "report 1 v2 -> 200",
    ]
    assert read_out not in shown

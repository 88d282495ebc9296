"""The simulator's telephone exchange does what the document says: holding times, lines, callbacks, calls, codes."""

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
    """A client of one simulator's API and control requests that shares no code with the product's client."""

    def __init__(self, simulator: MediaSmsSimulator) -> None:
        self.simulator = simulator
        self._authorization = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def request(self, parameters: Mapping[str, str] = CALL_IN, **more: str) -> int:
        """Send a request and return the code of the answer."""
        headers = {"Authorization": self._authorization, "Content-Type": "application/x-www-form-urlencoded"}
        form = urlencode({**parameters, **more}).encode()
        return self._answer("POST", urlsplit(self.simulator.url).path, form, headers).status

    def control(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        answer = self._answer(method, f"/control/{path}", json_or_nothing(body))
        return answer.status, answer.json

    def dial(self, number: str = NUMBER, line: str = LINE, **more: object) -> tuple[str, str]:
        """Dial a line, do all jobs that are due, and return what the caller hears and the reason."""
        status, result = self.control("POST", "dial", {"number": number, "line": line, **more})
        assert status == 200
        self.simulator.deliver_due()
        return result["heard"], result["why"]

    def advance(self, seconds: float) -> None:
        assert self.control("POST", "clock", {"advance_s": seconds})[0] == 200
        self.simulator.deliver_due()

    def verification(self, smsid: str = "v1") -> dict[str, Any]:
        (item,) = self.control("GET", f"ivr?smsid={smsid}")[1]["items"]
        assert isinstance(item, dict)
        return item

    def _answer(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] = {}) -> Answered:
        return answer_of(connection_to(self.simulator.url), method, path, body, headers)


class Customer(Receiver):
    """The customer's receiver of both callbacks: `/ivr` and `/delivery`."""

    @property
    def callbacks(self) -> list[dict[str, str]]:
        return self.fields("/ivr")

    @property
    def reports(self) -> list[dict[str, str]]:
        return self.fields("/delivery")

    @property
    def reported_codes(self) -> list[tuple[str, str | None]]:
        return [(fields["status"], fields.get("authcode")) for fields in self.reports]


@pytest.fixture
def customer() -> Iterator[Customer]:
    with Customer() as server:
        yield server


@contextmanager
def running_exchange(customer: Customer, **settings: object) -> Iterator[Caller]:
    addresses = {"report_url": customer.at("/delivery"), "ivr_url": customer.at("/ivr")}
    config = SimulatorConfig(user=USER, password=PASSWORD).with_changes({**addresses, **settings})
    with MediaSmsSimulator(config, clock=ManualClock(), reports_by_hand=True) as simulator:
        yield Caller(simulator)


@pytest.fixture
def caller(customer: Customer) -> Iterator[Caller]:
    with running_exchange(customer) as started:
        yield started


def without(name: str, parameters: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if key != name}


@pytest.mark.parametrize(
    ("code", "parameters"),
    [
        pytest.param(200, CALL_IN, id="method 4"),
        pytest.param(200, {**CALL_IN, "method": "2"}, id="method 2"),
        pytest.param(200, CALL_OUT, id="method 5"),
        pytest.param(200, {**CALL_IN, "method": "6"}, id="method 6"),
        pytest.param(200, {**CALL_IN, "method": "7"}, id="method 7"),
        pytest.param(561, {**CALL_IN, "method": "3"}, id="method 3"),
        pytest.param(550, without("ipphone", CALL_IN), id="no line"),
        pytest.param(550, {**CALL_IN, "ipphone": "0500000001"}, id="line too short"),
        pytest.param(550, {**CALL_IN, "ipphone": "03000000001"}, id="line no 050 number"),
        pytest.param(200, {**CALL_IN, "holdingtime": "0"}, id="shortest holdingtime"),
        pytest.param(200, {**CALL_IN, "holdingtime": "999"}, id="longest holdingtime"),
        pytest.param(567, {**CALL_IN, "holdingtime": "1000"}, id="holdingtime too long"),
        pytest.param(567, {**CALL_IN, "holdingtime": "x"}, id="holdingtime no number"),
        pytest.param(200, without("holdingtime", CALL_IN), id="method 4 without holdingtime"),
        pytest.param(550, without("holdingtime", CALL_OUT), id="method 5 without holdingtime"),
        pytest.param(550, without("repeatcall", CALL_OUT), id="method 5 without repeatcall"),
        pytest.param(200, {**CALL_OUT, "repeatcall": "99"}, id="highest repeatcall"),
        pytest.param(568, {**CALL_OUT, "repeatcall": "100"}, id="repeatcall too high"),
        pytest.param(560, {**CALL_OUT, "mobilecareer": "c", "mobilenumber": "15550000001"}, id="method 5 overseas"),
        pytest.param(550, {**CALL_IN, "mobilenumber": LAND_LINE}, id="land line without carrier"),
        pytest.param(200, {**CALL_IN, "mobilenumber": LAND_LINE, "mobilecareer": "a"}, id="land line, carrier a"),
        pytest.param(
            200,
            {**CALL_IN, "mobilenumber": LAND_LINE, "mobilecareer": "b", "method": "2"},
            id="land line, carrier b, method 2",
        ),
        pytest.param(200, {**CALL_OUT, "mobilenumber": LAND_LINE, "mobilecareer": "b"}, id="land line, method 5"),
        pytest.param(
            550, {**CALL_IN, "mobilenumber": LAND_LINE, "mobilecareer": "b", "method": "1"}, id="land line, method 1"
        ),
    ],
)
def test_a_request_is_accepted_or_refused_by_the_parameter_table(
    caller: Caller, code: int, parameters: dict[str, str]
) -> None:
    assert caller.request(parameters) == code
    count = caller.control("GET", "ivr")[1]["count"]
    assert count == (code == 200 and parameters["method"] in {"2", "4", "5"})


@pytest.mark.parametrize("method", ["2", "4"])
def test_the_right_call_succeeds_once_and_has_one_callback(caller: Caller, customer: Customer, method: str) -> None:
    caller.request(method=method)
    assert [caller.dial() for _ in range(3)] == [
        ("success", "open"),
        ("failure", "already_verified"),
        ("failure", "already_verified"),
    ]
    caller.advance(3600)
    assert customer.callbacks == [{**dict.fromkeys(LISTED, ""), **without_report_fields(CALL_IN), "method": method}]


def without_report_fields(parameters: Mapping[str, str]) -> dict[str, str]:
    return without("smsid", without("status", parameters))


def test_a_refused_callback_is_not_retried(caller: Caller, customer: Customer) -> None:
    customer.answers = [(500, b"")]
    caller.request()
    caller.dial()
    caller.advance(3600)
    assert len(customer.callbacks) == 1
    assert caller.verification()["callbacks"][0]["answer"] == 500


@pytest.mark.parametrize(
    ("call", "heard"),
    [
        pytest.param({"line": OTHER_LINE}, ("failure", "wrong_line"), id="other line"),
        pytest.param({"number": "09000000098"}, ("failure", "not_asked_for"), id="other number"),
        pytest.param({"number": ""}, ("failure", "not_asked_for"), id="withheld number"),
        pytest.param({"hang_up": True}, ("nothing", "hung_up"), id="hangs up"),
    ],
)
def test_a_wrong_call_has_no_callback_and_the_request_stays_open(
    caller: Caller, customer: Customer, call: dict[str, object], heard: tuple[str, str]
) -> None:
    caller.request()
    assert caller.dial(**call) == heard  # type: ignore[arg-type]
    assert customer.callbacks == []
    assert caller.verification()["open"]
    assert caller.dial() == ("success", "open")


def test_a_call_is_in_time_until_the_holding_time_has_passed(caller: Caller, customer: Customer) -> None:
    caller.request(smsid="first")
    caller.advance(599.5)
    assert caller.dial() == ("success", "open")
    caller.request(smsid="second")
    caller.advance(600)
    assert caller.dial() == ("failure", "too_late")
    assert len(customer.callbacks) == 1


@given(minutes=st.integers(min_value=1, max_value=999), opened=st.floats(min_value=0, max_value=1e6))
def test_the_holding_time_is_in_minutes(minutes: int, opened: float) -> None:
    config = SimulatorConfig(user=USER, password=PASSWORD)
    assert closing_time({"holdingtime": str(minutes)}, config, opened) == opened + minutes * 60


def test_a_request_without_holding_time_gets_the_configured_one(customer: Customer) -> None:
    with running_exchange(customer, default_holding_minutes=3) as caller:
        caller.request(without("holdingtime", CALL_IN))
        verification = caller.verification()
        assert verification["closes_s"] - verification["opened_s"] == 180


@pytest.mark.parametrize(("meaning", "heard"), [("closed", "failure"), ("no_end", "success")])
def test_a_holding_time_of_zero_is_no_time_or_no_end_as_configured(
    customer: Customer, meaning: str, heard: str
) -> None:
    with running_exchange(customer, holding_zero=meaning) as caller:
        caller.request(holdingtime="0")
        caller.advance(100_000)
        assert caller.dial()[0] == heard


def test_the_newest_of_several_open_requests_is_verified_first(caller: Caller) -> None:
    for smsid in ("old", "new"):
        caller.request(smsid=smsid)
    order = [caller.control("POST", "dial", {"number": NUMBER, "line": LINE})[1]["smsid"] for _ in range(3)]
    assert order == ["new", "old", None]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_callback_has_the_configured_method_and_smsid(customer: Customer, method: str) -> None:
    with running_exchange(customer, ivr_method=method, ivr_with_smsid=True) as caller:
        caller.request()
        caller.dial()
    (callback,) = customer.received
    assert (callback.method, callback.fields["smsid"], {*callback.fields}) == (method, "v1", {*LISTED, "smsid"})


@pytest.mark.parametrize(
    ("style", "number", "expected"),
    [
        ("as_asked", NUMBER, "09000000099"),
        ("plus_81", NUMBER, "+819000000099"),
        ("plus_81", LAND_LINE, "+81300000099"),
        ("hyphens", NUMBER, "090-0000-0099"),
        ("hyphens", LAND_LINE, "03-0000-0099"),
    ],
)
def test_a_callback_writes_the_number_in_the_configured_form(
    customer: Customer, style: str, number: str, expected: str
) -> None:
    with running_exchange(customer, ivr_number_style=style) as caller:
        caller.request(mobilenumber=number, mobilecareer="b")
        assert caller.dial(number)[0] == "success"
    assert [fields["mobilenumber"] for fields in customer.callbacks] == [expected]


def test_callbacks_can_be_copied_and_delayed(customer: Customer) -> None:
    with running_exchange(customer, ivr_copies=2, ivr_after_s=30) as caller:
        caller.request()
        caller.dial()
        assert customer.callbacks == []
        caller.advance(31)
        assert len(customer.callbacks) == 2


def test_scripted_numbers_have_two_callbacks_or_a_late_one(caller: Caller, customer: Customer) -> None:
    for number in ("09000000011", "09000000012"):
        caller.request(mobilenumber=number)
        caller.dial(number)
    endings = []
    for _ in range(3):
        endings.append([fields["mobilenumber"][-2:] for fields in customer.callbacks])
        caller.advance(5)
    assert endings == [["11"], ["11", "11"], ["11", "11", "12"]]


def test_the_number_that_dials_at_once_has_its_callback_first(customer: Customer) -> None:
    answers: list[int] = []
    with running_exchange(customer) as caller:
        simulator = caller.simulator
        request = threading.Thread(target=lambda: answers.append(caller.request(mobilenumber="09000000013")))
        request.start()
        assert simulator.wait_until(lambda: len(simulator.messages) == 1)
        assert answers == []
        simulator.deliver_due()
        request.join(timeout=10)
    assert answers == [200]
    assert len(customer.callbacks) == 1


def test_a_control_request_pushes_any_callback(caller: Caller, customer: Customer) -> None:
    caller.request()
    caller.advance(3600)
    assert caller.control("POST", "ivr", {"smsid": "v1"})[1]["answer"] == 200
    foreign = {"mobilenumber": "09000000077", "ipphone": OTHER_LINE, "method": "4", "smsid": "stranger"}
    caller.control("POST", "ivr", {"parameters": foreign})
    assert customer.callbacks == [
        {**dict.fromkeys(LISTED, ""), **without_report_fields(CALL_IN)},
        {**dict.fromkeys(LISTED, ""), **foreign},
    ]
    assert len(caller.verification()["callbacks"]) == 1


def test_a_call_in_request_sends_an_sms_only_with_method_2(caller: Caller, customer: Customer) -> None:
    caller.request(smsid="alone")
    caller.request(smsid="both", method="2")
    caller.advance(60)
    assert [(fields["smsid"], fields["status"]) for fields in customer.reports] == [("both", "14"), ("both", "1")]
    assert [message.received_by_phone for message in caller.simulator.messages] == [None, "text"]


def test_a_called_phone_hears_the_code_of_its_report(caller: Caller, customer: Customer) -> None:
    caller.request(CALL_OUT)
    assert caller.verification()["read_out"] is None
    caller.advance(60)
    verification = caller.verification()
    assert [call["ending"] for call in verification["calls"]] == ["answered"]
    assert len(verification["read_out"]) == 4
    assert verification["read_out"].isdigit()
    assert customer.reported_codes == [("14", None), ("1", verification["read_out"])]
    assert customer.callbacks == []


def test_each_called_phone_hears_its_own_code(customer: Customer) -> None:
    with running_exchange(customer, authcode_digits=6, authcode_in="every_report") as caller:
        for smsid in ("v1", "v2"):
            caller.request(CALL_OUT, smsid=smsid)
        caller.advance(60)
        read_out = [caller.verification(smsid)["read_out"] for smsid in ("v1", "v2")]
    assert [len(code) for code in read_out] == [6, 6]
    assert read_out[0] != read_out[1]
    codes = {(fields["smsid"], fields["status"]): fields["authcode"] for fields in customer.reports}
    first, second = read_out
    assert codes == {("v1", "14"): first, ("v1", "1"): first, ("v2", "14"): second, ("v2", "1"): second}


@pytest.mark.parametrize("repeats", [0, 2, 99])
def test_an_unanswered_phone_is_called_again_and_hears_no_code(
    caller: Caller, customer: Customer, repeats: int
) -> None:
    caller.request(CALL_OUT, mobilenumber="09000000014", repeatcall=str(repeats))
    caller.advance(599)
    verification = caller.verification()
    assert [call["ending"] for call in verification["calls"]] == ["not_answered"] * (1 + repeats)
    assert verification["read_out"] is None
    assert customer.reported_codes == [("14", None), ("0", None)]


def test_no_call_begins_after_the_holding_time(customer: Customer) -> None:
    with running_exchange(customer, ring_s=4, call_again_after_s=20) as caller:  # five rings: a call every 40 seconds
        caller.request(CALL_OUT, mobilenumber="09000000014", repeatcall="99", holdingtime="2")
        caller.advance(100_000)
        assert len(caller.verification()["calls"]) == 3


def test_a_phone_that_answers_the_third_call_is_not_called_again(caller: Caller) -> None:
    caller.request(CALL_OUT, mobilenumber="09000000016", repeatcall="9")
    caller.advance(599)
    endings = [call["ending"] for call in caller.verification()["calls"]]
    assert endings == ["not_answered", "not_answered", "answered"]


def test_a_phone_that_hangs_up_hears_no_code_and_is_not_called_again(caller: Caller, customer: Customer) -> None:
    caller.request(CALL_OUT, mobilenumber="09000000015", repeatcall="9")
    caller.advance(599)
    verification = caller.verification()
    assert ([call["ending"] for call in verification["calls"]], verification["read_out"]) == (["hung_up"], None)
    assert customer.reported_codes == [("14", None), ("0", None)]


def test_the_reaction_to_calls_can_be_scripted(caller: Caller) -> None:
    script = {
        "number": NUMBER,
        "calls": [{"ending": "not_answered", "after_rings": 9}, {"ending": "answered", "after_rings": 1}],
        "ivr_pushed_after_s": [1, 2],
    }
    status, answer = caller.control("POST", "numbers", script)
    assert (status, {name: answer[name] for name in ("calls", "ivr_pushed_after_s")}) == (
        200,
        {name: script[name] for name in ("calls", "ivr_pushed_after_s")},
    )
    caller.request(CALL_OUT)
    caller.advance(60)
    calls = [(call["ending"], call["rings"]) for call in caller.verification()["calls"]]
    assert calls == [("not_answered", 9), ("answered", 1)]


def test_a_number_to_be_called_cannot_verify_itself_by_calling(caller: Caller, customer: Customer) -> None:
    caller.request(CALL_OUT)
    assert caller.dial() == ("failure", "not_asked_for")
    assert customer.callbacks == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("dial", {}, id="dial without number"),
        pytest.param("dial", {"number": NUMBER}, id="dial without line"),
        pytest.param("dial", {"number": NUMBER, "line": LINE, "hang_up": 1}, id="hang_up no boolean"),
        pytest.param("ivr", {"parameters": {"method": 4}}, id="parameter no text"),
        pytest.param("clock", {"advance_s": -1}, id="clock backwards"),
        pytest.param("clock", {}, id="clock without advance_s"),
        pytest.param("numbers", {"number": NUMBER, "calls": [{"ending": "busy"}]}, id="unknown ending"),
        pytest.param("numbers", {"number": NUMBER, "calls": ["answered"]}, id="call no object"),
        pytest.param("config", {"ivr_url": "ftp://127.0.0.1/"}, id="no web address"),
    ],
)
def test_a_wrong_control_request_changes_nothing(caller: Caller, customer: Customer, path: str, body: object) -> None:
    caller.request()
    before = caller.control("GET", "ivr"), caller.control("GET", "clock"), caller.control("GET", "numbers")
    status, answer = caller.control("POST", path, body)
    assert (status, answer.keys()) == (400, {"error"})
    assert before == (caller.control("GET", "ivr"), caller.control("GET", "clock"), caller.control("GET", "numbers"))
    assert customer.received == []


def test_a_reset_forgets_requests_and_keeps_the_addresses(caller: Caller, customer: Customer) -> None:
    caller.request()
    caller.request(CALL_OUT, smsid="v2")
    before = caller.control("GET", "clock")[1]["now_s"]
    caller.control("POST", "reset", {})
    caller.advance(60)
    assert caller.control("GET", "ivr")[1] == {"count": 0, "items": []}
    assert caller.dial() == ("failure", "not_asked_for")
    assert caller.control("GET", "config")[1]["ivr_url"] == customer.at("/ivr")
    assert caller.control("GET", "clock")[1]["now_s"] == before + 60
    assert customer.received == []


def test_threads_make_calls_and_callbacks_in_real_time(customer: Customer) -> None:
    config = SimulatorConfig(
        user=USER, password=PASSWORD, ivr_url=customer.at("/ivr"), report_url=customer.at("/delivery"), ring_s=0.0
    )
    with MediaSmsSimulator(config) as simulator:
        caller = Caller(simulator)
        caller.request()
        caller.request(CALL_OUT, smsid="v2")
        caller.control("POST", "dial", {"number": NUMBER, "line": LINE})
        assert simulator.wait_until(lambda: bool(simulator.messages[0].callbacks))
        assert simulator.wait_until(lambda: len(simulator.messages[1].reports) == 2)
    assert len(customer.callbacks) == 1
    assert customer.reported_codes[-1][1] is not None


def test_the_log_has_neither_numbers_nor_codes(customer: Customer) -> None:
    lines: list[str] = []
    config = SimulatorConfig(
        user=USER, password=PASSWORD, ivr_url=customer.at("/ivr"), report_url=customer.at("/delivery")
    )
    with MediaSmsSimulator(config, clock=ManualClock(), log=lines.append, reports_by_hand=True) as simulator:
        caller = Caller(simulator)
        caller.request()
        caller.dial()
        caller.request(CALL_OUT, smsid="v2", mobilenumber="09000000001")
        caller.advance(60)
        read_out = caller.verification("v2")["read_out"]
        requests_repr = repr(simulator.provider.exchange.requests)
    assert lines == [
        "200 answered *******0099 v1",
        "call open *******0099",
        "callback v1 -> 200",
        "200 answered *******0001 v2",
        "called *******0001: answered",
        "report 14 v2 -> 200",
        "report 1 v2 -> 200",
    ]
    assert read_out not in requests_repr

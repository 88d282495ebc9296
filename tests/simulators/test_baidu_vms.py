"""The Baidu VMS simulator does what its document says: signatures, expiry, tokens, errors, faults, callbacks."""

import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from baidubce.auth import bce_v1_signer
from baidubce.auth.bce_credentials import BceCredentials

from sandbox.simulators.baidu_vms import BaiduVmsSimulator, SimulatorConfig
from sandbox.simulators.baidu_vms.errors import ALL_ERRORS, Error
from sandbox.simulators.baidu_vms.numbers import NUMBERS
from sandbox.simulators.baidu_vms.signatures import canonical_request, parse_authorization, signature
from tests.customer import ManualClock, Receiver, answer_of, connection_to, json_or_nothing
from tests.translated_template import ROOT

AK, SK = "0123abcd", "not-a-secret-key"
NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC).timestamp()
DAY = 24 * 60 * 60
OTHER_NUMBER = "13800000099"
CALL: dict[str, object] = {
    "calledNumber": OTHER_NUMBER,
    "type": 0,
    "voiceMessageTemplateId": "123",
    "voiceMessageVar": "name=test&number=1",
}
VECTORS = json.loads((ROOT / "tests/specs/bce_vectors.json").read_text(encoding="utf-8"))


Answer = tuple[int, Any, Mapping[str, str]]


class Caller:
    """A plain HTTP client that signs as the document says and shares no code with the product's client."""

    def __init__(self, simulator: BaiduVmsSimulator, clock: ManualClock) -> None:
        self._url = simulator.url
        self.clock = clock
        self.host = urlsplit(simulator.url).netloc

    def date(self) -> str:
        return datetime.fromtimestamp(self.clock.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def signed(self, path: str = "/v1/call", query: str = "", *, expiration: str = "1800", sk: str = SK) -> str:
        prefix = f"bce-auth-v1/{AK}/{self.date()}/{expiration}"
        key = hmac.new(sk.encode(), prefix.encode(), hashlib.sha256).hexdigest()
        request = f"POST\n{path}\n{query}\nhost:{quote(self.host, safe='')}\nx-bce-date:{quote(self.date(), safe='')}"
        return f"{prefix}/host;x-bce-date/{hmac.new(key.encode(), request.encode(), hashlib.sha256).hexdigest()}"

    def exchange(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str | None]) -> Answer:
        present = {name: value for name, value in headers.items() if value is not None}
        answer = answer_of(connection_to(self._url), method, target, body, present)
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, answer.json if is_json else answer.body, answer.headers

    def send(
        self, body: bytes, *, path: str = "/v1/call", query: str = "", method: str = "POST", **headers: str | None
    ) -> Answer:
        changes = {name.replace("_", "-"): value for name, value in headers.items()}
        defaults: dict[str, str | None] = {
            "Host": self.host,
            "x-bce-date": self.date(),
            "Content-Type": "application/json; charset=utf-8",
            "Authorization": self.signed(path, query),
        }
        return self.exchange(method, f"{path}?{query}" if query else path, body, {**defaults, **changes})

    def call(self, query: str = "", **changes: object) -> Answer:
        return self.send(json.dumps({**CALL, **changes}).encode(), query=query)

    def control(self, path: str, body: object = None) -> Any:
        method = "GET" if body is None else "POST"
        status, answer, _ = self.exchange(method, f"/control/{path}", json_or_nothing(body), {})
        return answer if status == 200 else status


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def simulator(clock: ManualClock, lines: list[str]) -> Iterator[BaiduVmsSimulator]:
    config = SimulatorConfig(access_key=AK, secret_key=SK, slow_answer_s=0.0, hold_open_s=0.0)
    with BaiduVmsSimulator(config, clock=clock, log=lines.append, callbacks_by_hand=True) as running:
        yield running


@pytest.fixture
def caller(simulator: BaiduVmsSimulator, clock: ManualClock) -> Caller:
    return Caller(simulator, clock)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_test_vector_verifies(vector: dict[str, Any]) -> None:
    authorization = parse_authorization(vector["authorization"])
    assert authorization is not None
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in reversed(vector["params"].items()))
    headers = {name: value for name, value in vector["headers"].items() if name.lower() in authorization.headers}

    canonical = canonical_request(vector["method"], vector["path"], query, headers)

    assert canonical == vector["canonical_request"]
    assert signature(vector["sk"], authorization.prefix, canonical) == authorization.signature


# The SDK calls a function that Python has deprecated.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")
def test_a_signature_of_the_providers_sdk_is_accepted(caller: Caller) -> None:
    credentials = BceCredentials(AK.encode(), SK.encode())
    headers = {b"Host": caller.host.encode(), b"x-bce-date": caller.date().encode()}
    signed = bce_v1_signer.sign(
        credentials, b"POST", b"/v1/call", headers, {b"clientToken": b"a/b c"}, int(NOW), 60, [b"host", b"x-bce-date"]
    )

    status, _, _ = caller.send(json.dumps(CALL).encode(), query="clientToken=a%2Fb%20c", Authorization=signed.decode())

    assert status == 200


def test_a_call_is_answered_as_in_the_documents_sample(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    status, body, headers = caller.call(userDefinedTag="タグ", calledShowNumber="99", unknown=[1])

    [call] = simulator.calls
    assert (status, body) == (
        200,
        {"callId": call.call_id, "userDefinedTag": "タグ", "dateCreate": "2026-11-22T03:04:05Z", "showNum": "99"},
    )
    assert headers["x-bce-request-id"]
    assert (call.play_times, call.volume, call.heard) == (1, 10, "test,您的号码是1。")


@pytest.mark.parametrize(
    ("number", "error"),
    [
        pytest.param("13800000100", ALL_ERRORS[0], id=f"00 {ALL_ERRORS[0].code}"),
        *(
            pytest.param(f"138000001{row:02}", error, id=f"1{row:02} {error.code}")
            for row, error in enumerate(ALL_ERRORS[1:15], 1)
        ),
        *(
            pytest.param(f"138000002{row:02}", error, id=f"2{row:02} {error.code}")
            for row, error in enumerate(ALL_ERRORS[15:], 1)
        ),
    ],
)
def test_each_error_of_the_document_has_a_scripted_number(
    caller: Caller, simulator: BaiduVmsSimulator, number: str, error: Error
) -> None:
    status, body, headers = caller.call(calledNumber=number)

    assert (status, body["code"]) == (error.http_status, error.code)
    assert body["message"] == error.message.replace("XXX", "2026-11-22T03:04:05Z")
    assert body["requestId"] == headers["x-bce-request-id"]
    assert not simulator.calls


def test_the_error_tables_are_the_documents() -> None:
    common = [
        "AccessDenied", "InappropriateJSON", "InternalError", "InvalidAccessKeyId", "InvalidHTTPAuthHeader",
        "InvalidHTTPRequest", "InvalidURI", "MalformedJSON", "InvalidVersion", "OptInRequired",
        "PreconditionFailed", "RequestExpired", "IdempotentParameterMismatch", "SignatureDoesNotMatch",
    ]  # fmt: skip
    vms = ["NotImplemented", *["VerifyFailed"] * 4, *["RequestFailed"] * 5, "ExceedLimit", "QueueFull", "IllegalNumber"]

    assert [error.code for error in ALL_ERRORS] == ["QualifyNotPass", *common, *vms]
    assert [error.http_status for error in ALL_ERRORS] == [
        403, 403, 400, 500, 403, 400, 400, 400, 400, 404, 403, 412, 400, 403, 400,
        501, 403, 403, 403, 403, 400, 400, 400, 400, 400, 403, 429, 400,
    ]  # fmt: skip


def code_of(answer: Answer) -> str:
    return str(answer[1]["code"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"type": "0"}, "InappropriateJSON", id="type as text"),
        pytest.param({"type": False}, "InappropriateJSON", id="type as boolean"),
        pytest.param({"playTimes": None}, "InappropriateJSON", id="playTimes null"),
        pytest.param({"type": 1}, "NotImplemented", id="type 1"),
        pytest.param({"voiceVolume": -21}, "RequestFailed", id="volume too low"),
        pytest.param({"playTimes": 0}, "RequestFailed", id="playTimes 0"),
        pytest.param({"calledNumber": "12a45"}, "IllegalNumber", id="letter in number"),
        pytest.param({"voiceMessageTemplateId": "999"}, "RequestFailed", id="unknown template"),
        pytest.param({"voiceMessageTemplateId": "200"}, "VerifyFailed", id="template 200"),
        pytest.param({"voiceMessageTemplateId": "201"}, "ExceedLimit", id="template 201"),
        pytest.param({"voiceMessageTemplateId": "202"}, "OptInRequired", id="template 202"),
        pytest.param({"voiceMessageVar": "name=test"}, "RequestFailed", id="missing variable"),
        pytest.param({"voiceMessageVar": "name=test&number=1&more=2"}, "RequestFailed", id="unknown variable"),
        pytest.param({"voiceMessageVar": "name=a=b&number=1"}, "RequestFailed", id="two equals signs"),
        pytest.param({"voiceMessageVar": "name=illegal-content&number=1"}, "VerifyFailed", id="illegal content"),
        pytest.param({"voiceMessageVar": "name=DROP TABLE&number=1"}, "RequestFailed", id="SQL"),
    ],
)
def test_a_body_with_wrong_values_is_refused(
    caller: Caller, simulator: BaiduVmsSimulator, changes: dict[str, Any], code: str
) -> None:
    assert code_of(caller.call(**changes)) == code
    assert not simulator.calls


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"{", "MalformedJSON", id="broken JSON"),
        pytest.param(b'{"type": NaN}', "MalformedJSON", id="NaN"),
        pytest.param(b"[]", "InappropriateJSON", id="list"),
        pytest.param(b"{}", "InappropriateJSON", id="empty object"),
        pytest.param(b'"\xff"', "InvalidHTTPRequest", id="no UTF-8"),
    ],
)
def test_a_body_that_is_no_call_in_json_is_refused(caller: Caller, body: bytes, code: str) -> None:
    assert code_of(caller.send(body)) == code


def test_a_wrong_header_about_the_body_is_refused(caller: Caller) -> None:
    body = json.dumps(CALL).encode()

    assert code_of(caller.send(body, **{"Content-Type": "text/plain"})) == "InvalidHTTPRequest"
    assert code_of(caller.send(body, **{"x-bce-content-sha256": "0" * 64})) == "InvalidHTTPRequest"
    assert code_of(caller.send(body, **{"x-bce-if-match": "v1"})) == "PreconditionFailed"
    assert caller.send(body, **{"x-bce-content-sha256": hashlib.sha256(body).hexdigest()})[0] == 200


def test_a_request_to_another_interface_gets_the_documents_error(caller: Caller) -> None:
    assert code_of(caller.send(b"{}", path="/v2/call")) == "InvalidVersion"
    assert code_of(caller.send(b"{}", path="/v1/calls")) == "InvalidURI"
    assert code_of(caller.send(b"{}", method="GET")) == "NotImplemented"
    assert code_of(caller.send(b"{}", method="PUT")) == "NotImplemented"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda good: "", id="empty"),
        pytest.param(lambda good: good + "0", id="signature too long"),
        pytest.param(lambda good: good.replace("bce-auth-v1", "bce-auth-v2"), id="version 2"),
        pytest.param(lambda good: good.replace("host;x-bce-date", "x-bce-date;host"), id="headers not sorted"),
        pytest.param(lambda good: good.replace("host;x-bce-date", "x-bce-date"), id="host not signed"),
        pytest.param(lambda good: good.replace("host;x-bce-date", ""), id="no headers"),
        pytest.param(
            lambda good: good.replace("host;x-bce-date", "content-type;host;x-bce-date"), id="header not signable"
        ),
        pytest.param(lambda good: good.replace("/1800/", "/01800/"), id="period with leading zero"),
        pytest.param(lambda good: good.replace("-11-22T", "-13-22T"), id="month 13"),
        pytest.param(lambda good: good[:-1] + "G", id="signature not hexadecimal"),
    ],
)
def test_an_authorization_in_another_form_is_an_invalid_header(caller: Caller, spoil: Any) -> None:
    answer = caller.send(json.dumps(CALL).encode(), Authorization=spoil(caller.signed()))

    assert code_of(answer) == "InvalidHTTPAuthHeader"


def test_a_request_with_wrong_keys_or_unsigned_parts_is_refused(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    body = json.dumps(CALL).encode()

    assert code_of(caller.send(body, Authorization=None)) == "AccessDenied"
    assert code_of(caller.send(body, Authorization=caller.signed(sk="other"))) == "SignatureDoesNotMatch"
    unknown = caller.signed().replace(AK, "other")
    assert code_of(caller.send(body, Authorization=unknown)) == "InvalidAccessKeyId"
    unsigned_query = caller.signed()
    assert code_of(caller.send(body, query="clientToken=a", Authorization=unsigned_query)) == "SignatureDoesNotMatch"
    assert code_of(caller.send(body, **{"x-bce-date": "2026-11-22T03:04:06Z"})) == "SignatureDoesNotMatch"
    caller.control("credentials", {"access_key": "new", "secret_key": "new"})
    assert code_of(caller.send(body)) == "InvalidAccessKeyId"
    assert not simulator.calls


def test_a_request_expires_when_its_period_is_over(caller: Caller, clock: ManualClock) -> None:
    body, signed, date = json.dumps(CALL).encode(), caller.signed(expiration="60"), caller.date()
    clock.now += 60
    assert caller.send(body, Authorization=signed, **{"x-bce-date": date})[0] == 200
    clock.now += 1

    status, error, _ = caller.send(body, Authorization=signed, **{"x-bce-date": date})

    assert (status, error["code"]) == (400, "RequestExpired")
    assert error["message"] == "Request has expired. Timestamp date is 2026-11-22T03:04:05Z."


def test_a_clock_offset_expires_signatures(caller: Caller) -> None:
    caller.control("config", {"clock_offset_s": 1801})

    assert code_of(caller.call()) == "RequestExpired"


def test_the_same_token_and_bytes_place_one_call_with_one_answer(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    first, second = caller.call("clientToken=t1"), caller.call("clientToken=t1")

    assert first[:2] == second[:2]
    assert len(simulator.calls) == 1
    assert caller.control("calls?token=t1")["by_token"] == {"t1": 1}
    assert caller.control("requests?token=t1")["count"] == 2


def test_another_byte_with_the_same_token_is_a_mismatch(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    caller.call("clientToken=t1")

    assert code_of(caller.send(json.dumps(CALL, indent=1).encode(), query="clientToken=t1")) == (
        "IdempotentParameterMismatch"
    )
    assert code_of(caller.call("clientToken=t1&x=1")) == "IdempotentParameterMismatch"
    assert len(simulator.calls) == 1


def test_a_token_lives_for_24_hours_after_its_last_request(
    caller: Caller, simulator: BaiduVmsSimulator, clock: ManualClock
) -> None:
    caller.call("clientToken=t1")
    for _ in range(2):
        clock.now += DAY - 1
        caller.call("clientToken=t1")
    assert len(simulator.calls) == 1
    clock.now += DAY

    caller.call("clientToken=t1")

    assert len(simulator.calls) == 2


def test_a_refusal_uses_up_its_token_only_if_configured(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    caller.call("clientToken=t1", calledNumber="13800000212")
    assert caller.call("clientToken=t1")[0] == 200
    caller.control("config", {"token_keeps_refusals": True})
    caller.call("clientToken=t2", calledNumber="13800000212")

    assert code_of(caller.call("clientToken=t2")) == "IdempotentParameterMismatch"


def test_ignored_tokens_place_two_calls(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    caller.control("config", {"tokens": "ignored"})

    caller.call("clientToken=t1")
    caller.call("clientToken=t1")

    assert caller.control("calls")["by_number"] == {OTHER_NUMBER: 2}


def test_a_token_has_up_to_64_ascii_characters(caller: Caller) -> None:
    assert caller.call(f"clientToken={'a' * 64}")[0] == 200
    assert code_of(caller.call(f"clientToken={'a' * 65}")) == "RequestFailed"
    assert code_of(caller.call("clientToken=%E6%B5%8B")) == "RequestFailed"


def test_the_queue_is_full_while_the_limit_of_calls_is_under_way(caller: Caller, clock: ManualClock) -> None:
    caller.control("config", {"concurrency_limit": 1, "ringing_s": 10})
    caller.call("clientToken=t1")
    status, error, _ = caller.call()
    assert (status, error["code"]) == (429, "QueueFull")
    assert caller.call("clientToken=t1")[0] == 200
    clock.now += 10

    assert caller.call()[0] == 200


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("13800000004", id="4 time-out"),
        pytest.param("13800000005", id="5 closed"),
        pytest.param("13800000006", id="6 cut"),
    ],
)
def test_a_token_finds_a_lost_answer_again(caller: Caller, simulator: BaiduVmsSimulator, number: str) -> None:
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        caller.call("clientToken=t1", calledNumber=number)

    status, body, _ = caller.call("clientToken=t1", calledNumber=number)

    [call] = simulator.calls
    assert (status, body["callId"]) == (200, call.call_id)


@pytest.mark.parametrize(
    ("number", "status", "calls"),
    [
        pytest.param("13800000003", 200, 1, id="3 slow"),
        pytest.param("13800000008", 500, 1, id="8 called and 500"),
        pytest.param("13800000009", 503, 0, id="9 page with 503"),
        pytest.param("13800000010", 200, 1, id="10 page with 200"),
        pytest.param("13800000012", 200, 0, id="12 no call"),
    ],
)
def test_a_scripted_number_gets_its_answer(
    caller: Caller, simulator: BaiduVmsSimulator, number: str, status: int, calls: int
) -> None:
    assert caller.call(calledNumber=number)[0] == status
    assert len(simulator.calls) == calls


def test_a_scripted_answer_without_a_date_places_no_call(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    caller.control("faults", {"kind": "empty_date"})
    status, body, _ = caller.call()
    assert (status, body["dateCreate"], len(simulator.calls)) == (200, "", 0)
    assert body["callId"]


def test_a_reset_connection_places_no_call(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    with pytest.raises(ConnectionResetError):
        caller.call(calledNumber="13800000007")
    assert not simulator.calls


def test_scripted_faults_are_used_up_in_order(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    full = {"kind": "answer", "code": "QueueFull", "times": 2}
    other = {"kind": "accept_then_answer", "code": "RequestFailed", "message": "Sql injection was detected."}
    assert len(caller.control("faults", [full, {**other, "match_number": OTHER_NUMBER}])["faults"]) == 2

    answers = [caller.call() for _ in range(4)]

    assert [answer[0] for answer in answers] == [429, 429, 400, 200]
    assert len(simulator.calls) == 2
    assert caller.control("faults", {"kind": "answer", "code": "NoSuchCode"}) == 400


def test_the_documents_oddities_can_be_switched_on(caller: Caller) -> None:
    caller.control("config", {"empty_date_create": True, "space_before_request_id": True})

    assert caller.call()[1]["dateCreate"] == ""
    _, error, headers = caller.call(type=1)
    assert error["requestId"] == " " + headers["x-bce-request-id"]


def test_a_reset_restores_all_settings_but_the_callback_address(caller: Caller, simulator: BaiduVmsSimulator) -> None:
    caller.control("config", {"tokens": "ignored", "callback_url": "http://127.0.0.1:9/x"})
    caller.call()
    caller.control("faults", {"kind": "reset_before"})

    caller.control("reset", {})

    settings = caller.control("config")
    assert (settings["tokens"], settings["callback_url"]) == ("honoured", "http://127.0.0.1:9/x")
    assert not {"access_key", "secret_key"} & set(settings)
    assert not simulator.calls
    assert caller.call()[0] == 200
    assert caller.control("config", {"tokens": "maybe"}) == 400


def test_a_callback_follows_the_call_under_the_configured_names(
    caller: Caller, simulator: BaiduVmsSimulator, clock: ManualClock
) -> None:
    with Receiver("/cb") as receiver:
        caller.control(
            "config",
            {
                "callback_url": receiver.url,
                "callback_fields": {"call_id": "cid", "result": "state"},
                "callback_results": {"unanswered": "2"},
            },
        )
        caller.call(calledNumber="13800000002")
        [call] = simulator.calls
        assert simulator.deliver_due() == 0
        clock.now += 3
        assert simulator.deliver_due() == 1
        caller.control("config", {"callback_form": "form"})
        assert caller.control("callback", {"call_id": call.call_id})["answer"] == 200

    [first, second] = receiver.received
    assert (first.path, first.headers["Content-Type"]) == ("/cb", "application/json; charset=utf-8")
    assert json.loads(first.body) == {"cid": call.call_id, "state": "2"}
    assert second.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert second.body == f"cid={call.call_id}&state=2".encode()


def test_the_log_has_no_personal_data(caller: Caller, lines: list[str]) -> None:
    caller.call("clientToken=secret-token", userDefinedTag="secret-tag", voiceMessageVar="name=secret&number=secret")
    caller.call(calledNumber="13800000213", voiceMessageVar="name=secret&number=secret")
    caller.send(b'{"secret": "1380000', path="/v1/secret")

    assert len(lines) == 3
    assert not [line for line in lines if "secret" in line or "1380000" in line or SK in line]


def test_every_scripted_number_is_reserved_for_tests() -> None:
    assert all(len(number) == 11 and number.startswith("13800000") for number in NUMBERS)

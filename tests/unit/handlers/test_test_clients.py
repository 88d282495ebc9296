"""Test clients through the handlers: magic numbers answer and report, and no provider is ever connected to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from botocore.client import BaseClient

from switchboard.domain.api_keys import ClientLimits, Scope
from switchboard.providers.transport import Connection
from switchboard.storage import aws
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import Event, load_event, of_client, with_headers
from tests.unit.handlers.test_api_keys import put_key
from tests.unit.handlers.test_sms_codes import let_time_pass

TEST_KEY: Final = "key-of-tests"
REAL_NUMBER: Final = "090-0000-0099"
OUT_OF_RANGE: Final = "090-0000-0017"


@dataclass(slots=True)
class TestBench:
    """A deployment with one test key, whose queue holds nothing back. `delays` are those that were asked for."""

    __test__ = False

    stack: Deployment
    delays: list[int] = field(default_factory=list)
    changed: bool = False

    def request(
        self, function: str, case: str, *, key: str = TEST_KEY, idempotency: str | None = None, **event: Any
    ) -> HttpAnswer:
        loaded: Event = of_client(load_event(function, case, **event), key)
        if idempotency is not None:
            loaded = with_headers(loaded, {"Idempotency-Key": idempotency})
        return self.stack.http(function, loaded)

    def send(self, to: str, **members: Any) -> HttpAnswer:
        key, idempotency = members.pop("key", TEST_KEY), members.pop("idempotency", None)
        body = {"to": to, "text": "test", **members}
        return self.request("send_sms", "japanese_text", key=key, idempotency=idempotency, body=body)

    def start(self, to: str, mode: str, *, key: str = TEST_KEY, **members: Any) -> HttpAnswer:
        return self.request("start_verification", "sms_code", key=key, body={"to": to, "mode": mode, **members})

    def resend(self, verification_id: str, *, key: str = TEST_KEY) -> HttpAnswer:
        let_time_pass(self.stack, verification_id, 31)
        path = {"verification_id": verification_id}
        return self.request("start_verification", "resend_of_unknown_id", key=key, pathParameters=path)

    def call(self, to: str, *, key: str = TEST_KEY) -> HttpAnswer:
        body = {"to": to, "template_id": "125", "variables": {}}
        return self.request("place_call", "broken_json", key=key, body=body)

    def check(self, verification_id: str, code: str) -> HttpAnswer:
        path = {"verification_id": verification_id}
        return self.request("check_verification", "unknown_id", pathParameters=path, body={"code": code})

    def read(self, kind: str, resource_id: str, *, key: str = TEST_KEY) -> dict[str, Any]:
        case, name = {
            "sms": ("one", "smsid"),
            "verification": ("unknown_verification", "verification_id"),
            "call": ("unknown_call", "call_id"),
        }[kind]
        answer = self.request("query", case, key=key, pathParameters={name: resource_id})
        resource: dict[str, Any] = answer.json
        return resource

    def entries(self, queue: str) -> Iterator[str]:
        """Take the bodies of the queue's entries until none is left."""
        url = self.stack.references[queue]
        while entries := aws.sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for entry in entries:
                yield entry["Body"]
                aws.sqs().delete_message(QueueUrl=url, ReceiptHandle=entry["ReceiptHandle"])

    def work_off(self, queue: str = "OutboxQueue") -> None:
        """Let the queue's function handle entries until none is left."""
        event = load_event("send_queued_sms", "fallback")
        [record] = event["Records"]
        for body in self.entries(queue):
            answer = self.stack.invoke("send_queued_sms", event | {"Records": [record | {"body": body}]})
            assert answer == {"batchItemFailures": []}

    def flip(self, *, test: bool) -> None:
        """Change the key's item, as an operator does, and let every container read it."""
        put_key(self.stack, TEST_KEY, *Scope, test=test)
        self.stack.cold_start()
        self.changed = True

    def real_requests(self) -> int:
        return len(self.stack.simulator.requests) + len(self.stack.baidu_vms.requests)


@pytest.fixture(scope="module")
def shared() -> Iterator[Deployment]:
    # A slow machine that misses its slot would reserve a second one.
    with deployed(MediaSmsJitterMilliseconds="1000") as stack:
        put_key(stack, TEST_KEY, *Scope, test=True)
        yield stack


@pytest.fixture
def bench(shared: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestBench]:
    bench = TestBench(shared)
    make_call: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "SendMessage":
            bench.delays.append(parameters.get("DelaySeconds", 0))
            parameters = parameters | {"DelaySeconds": 0}
        return make_call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    yield bench
    if bench.changed:
        bench.flip(test=True)
    for queue in ("OutboxQueue", "BulkQueue"):
        for _ in bench.entries(queue):
            pass


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail every connection to a provider."""

    def refuse(self: Connection, *_: object, **__: object) -> None:
        raise AssertionError("a provider was connected to")

    for name in ("open", "exchange"):
        monkeypatch.setattr(Connection, name, refuse)


def statuses(resource: dict[str, Any]) -> set[str]:
    return {report["status"] for report in resource["reports"]}


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize(
    ("last", "status", "state", "reports", "delays"),
    [
        (1, 201, "delivered", {"14", "1"}, [1, 2]),
        (2, 201, "delivered", {"14", "18", "1"}, [1, 2, 4]),
        (3, 201, "failed", {"14", "0"}, [1, 2]),
        (4, 201, "accepted", set(), []),
        (5, 202, "delivered", {"14", "1"}, [10, 11]),
        (6, 202, "unknown", set(), []),
        (7, 201, "delivered", {"14", "1"}, [1, 2]),
        (8, 201, "delivered", {"14", "18", "1"}, [1, 2, 3, 4, 5, 6]),
        (9, 201, "delivered", {"14", "99", "1"}, [1, 2, 3]),
        (10, 201, "delivered", {"14", "1"}, [0, 2]),
        *((last, 201, "delivered", {"14", "1"}, [1, 2]) for last in range(11, 17)),
        (17, 201, "undelivered", {"14", "18"}, [1, 2]),
    ],
)
def test_an_sms_to_a_magic_number_answers_and_reports(
    bench: TestBench, *, last: int, status: int, state: str, reports: set[str], delays: list[int]
) -> None:
    answer = bench.send(f"090-0000-00{last:02}")
    sent = answer.json
    assert (answer.status, sent["test"]) == (status, True)
    assert (sent["state"], sent["reports"]) == ("unknown" if status == 202 else "accepted", [])
    assert bench.delays == delays

    bench.work_off()

    message = bench.read("sms", sent["smsid"])
    assert (message["state"], statuses(message), message["test"]) == (state, reports, True)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("last", [1, 3, 5, 6])
def test_the_code_of_a_magic_number_is_known_and_a_resend_ends_it(bench: TestBench, last: int) -> None:
    started = bench.start(f"090-0000-00{last:02}", "sms_code").json
    bench.work_off()
    assert started["test"] is True

    resent = bench.resend(started["verification_id"])
    old, new = (bench.check(started["verification_id"], code) for code in ("111111", "222222"))

    assert (resent.status, old.code, new.status) == (200, "wrong_code", 200)
    assert (new.json["state"], new.json["verified_by"], new.json["test"]) == ("verified", "sms_code", True)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("last", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17])
@pytest.mark.parametrize("repeat_calls", [0, 2])
def test_a_call_out_reads_a_known_code_to_a_phone_that_answers(bench: TestBench, last: int, repeat_calls: int) -> None:
    started = bench.start(f"090-0000-00{last:02}", "call_out", repeat_calls=repeat_calls).json
    bench.work_off()

    answer = bench.check(started["verification_id"], "1234")

    answered = last not in {6, 14, 15} and (last != 16 or repeat_calls == 2)
    assert (answer.status, answer.code) == ((200, None) if answered else (409, "code_not_ready"))


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("mode", ["call_in", "sms_and_call_in"])
@pytest.mark.parametrize(
    ("last", "dialled_after"), [(1, []), (11, [1, 2]), (12, [10]), (13, [0])], ids=["never", "twice", "late", "at once"]
)
def test_a_call_in_is_reported_by_the_numbers_that_dial(
    bench: TestBench, mode: str, last: int, dialled_after: list[int]
) -> None:
    text = {"text": "test"} if mode == "sms_and_call_in" else {}
    started = bench.start(f"090-0000-00{last:02}", mode, **text).json
    assert bench.delays[len(bench.delays) - len(dialled_after) :] == dialled_after

    bench.work_off()

    verification = bench.read("verification", started["verification_id"])
    assert verification["state"] == ("verified" if dialled_after else "pending")
    assert verification["test"] is True
    bench.request("cancel_verification", "unknown_id", pathParameters={"verification_id": started["verification_id"]})


CALLS: Final = [
    (1, 201, None, "accepted"),
    (2, 201, None, "accepted"),
    (3, 201, None, "accepted"),
    *((last, 202, None, "unknown") for last in (4, 5, 6, 7, 8, 9, 10, 12)),
    (11, 201, None, "accepted"),
    *((last, 502, "provider_configuration", None) for last in (100, 101, 104, 105, 110, 114, 202, 203, 210, 211)),
    (103, 202, None, "unknown"),
    *((last, 422, "provider_rejected", None) for last in (102, 106, 107, 108, 109, 111, 113, 201)),
    *((last, 422, "provider_rejected", None) for last in (204, 205, 206, 207, 208, 209, 213)),
    (112, 503, "provider_unavailable", None),
    (212, 429, "provider_busy", None),
]


def test_the_table_has_every_number_of_the_simulator() -> None:
    from sandbox.simulators.baidu_vms.numbers import NUMBERS as BAIDU_VMS
    from sandbox.simulators.mediasms.numbers import NUMBERS as MEDIASMS
    from switchboard.providers import magic_numbers

    assert {f"+81{number[1:]}" for number in MEDIASMS} == set(magic_numbers._MEDIASMS)
    assert {f"+86{number}" for number in BAIDU_VMS} == set(magic_numbers._BAIDU_VMS)
    assert {f"138{last:08}" for last, *_ in CALLS} == set(BAIDU_VMS)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize(("last", "status", "code", "state"), CALLS)
def test_a_voice_call_to_a_magic_number_answers_and_reports(
    bench: TestBench, last: int, status: int, code: str | None, state: str | None
) -> None:
    answer = bench.call(f"138-{last // 10000:04}-{last % 10000:04}")
    assert (answer.status, answer.code) == (status, code)
    if state is None:
        return
    placed = answer.json
    assert (placed["state"], placed["test"]) == (state, True)

    bench.work_off()

    results = [report["result"] for report in bench.read("call", placed["token"])["reports"]]
    assert results == {1: ["answered"], 2: ["unanswered"], 3: ["answered"], 11: ["answered"]}.get(last, [])


@pytest.mark.usefixtures("no_sockets")
def test_a_fallback_follows_the_report_and_reads_out_its_code(bench: TestBench) -> None:
    started = bench.start(OUT_OF_RANGE, "sms_code", fallback={"mode": "call_out", "after_seconds": 60}).json
    bench.work_off()

    verification = bench.read("verification", started["verification_id"])
    assert [channel["mode"] for channel in verification["channels"]] == ["sms_code", "call_out"]
    assert bench.check(started["verification_id"], "1234").json["verified_by"] == "call_out"


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("number", [REAL_NUMBER, "090-0000-0018", "+1 212 555 0100"])
@pytest.mark.parametrize("route", ["sms", "scheduled", "preflight", "sms_code", "call_in", "call_out"])
def test_a_test_client_reaches_no_other_number(bench: TestBench, route: str, number: str) -> None:
    answer = {
        "sms": lambda: bench.send(number),
        "scheduled": lambda: bench.send(number, send_at="2026-12-01T00:00:00Z"),
        "preflight": lambda: bench.send(number, dry_run=True),
    }.get(route, lambda: bench.start(number, route))()

    problems = {error["field"] for error in answer.json["errors"]}
    assert (answer.status, answer.code, problems) == (422, "invalid_request", {"to"})


@pytest.mark.usefixtures("no_sockets")
def test_a_batch_accepts_magic_numbers_only_and_its_queue_imitates_them(bench: TestBench) -> None:
    messages = [{"to": number, "text": "test"} for number in ("090-0000-0001", REAL_NUMBER)]
    accepted, refused = bench.request("send_sms_batch", "broken_json", body={"messages": messages}).json["items"]
    assert [error["field"] for error in refused["errors"]] == ["to"]

    bench.work_off("BulkQueue")
    bench.work_off()

    message = bench.read("sms", accepted["smsid"])
    assert (message["state"], message["test"]) == ("delivered", True)


def queue_batch(bench: TestBench) -> str:
    messages = [{"to": "090-0000-0001", "text": "test"}]
    [item] = bench.request("send_sms_batch", "broken_json", body={"messages": messages}).json["items"]
    smsid: str = item["smsid"]
    return smsid


@pytest.mark.parametrize("test", [True, False], ids=["from test", "to test"])
def test_a_waiting_order_stays_what_it_was_accepted_as(bench: TestBench, *, test: bool) -> None:
    bench.flip(test=test)
    smsid, before = queue_batch(bench), bench.real_requests()
    bench.flip(test=not test)

    bench.work_off("BulkQueue")
    bench.work_off()

    assert bench.read("sms", smsid)["test"] is test
    assert bench.real_requests() - before == (0 if test else 1)


@pytest.mark.parametrize("test", [True, False], ids=["from test", "to test"])
@pytest.mark.parametrize("by", ["smsid", "key"])
def test_a_repeat_across_a_flip_is_another_request(bench: TestBench, *, by: str, test: bool) -> None:
    members = {"smsid": f"order{test}"} if by == "smsid" else {"idempotency": f"key{test}"}
    bench.flip(test=test)
    assert bench.send("090-0000-0001", **members).status == 201
    before = bench.real_requests()
    bench.flip(test=not test)

    assert bench.send("090-0000-0001", **members).code == "idempotency_key_reused"
    assert bench.real_requests() == before


@pytest.mark.parametrize("test", [True, False], ids=["from test", "to test"])
def test_a_resend_across_a_flip_is_refused(bench: TestBench, *, test: bool) -> None:
    bench.flip(test=test)
    started = bench.start("090-0000-0002", "sms_code").json
    before = bench.real_requests()
    bench.flip(test=not test)

    assert bench.resend(started["verification_id"]).code == "invalid_request"
    assert bench.real_requests() == before


@pytest.mark.parametrize("test", [True, False], ids=["from test", "to test"])
def test_a_fallback_stays_what_its_verification_is(bench: TestBench, *, test: bool) -> None:
    bench.flip(test=test)
    started = bench.start(OUT_OF_RANGE, "sms_code", fallback={"mode": "call_out", "after_seconds": 15}).json
    before = bench.real_requests()
    bench.flip(test=not test)
    let_time_pass(bench.stack, started["verification_id"], 20)

    bench.work_off()

    [_, call] = bench.read("verification", started["verification_id"])["channels"]
    assert call["mode"] == "call_out"
    assert bench.real_requests() - before == (0 if test else 1)


@pytest.mark.usefixtures("no_sockets")
def test_a_replaced_key_leaves_test_orders_what_they_are(bench: TestBench) -> None:
    smsid = queue_batch(bench)
    started = bench.start("090-0000-0002", "sms_code").json
    put_key(bench.stack, "key-after", *Scope, client=TEST_KEY)

    bench.work_off("BulkQueue")

    assert bench.read("sms", smsid, key="key-after")["test"] is True
    assert bench.resend(started["verification_id"], key="key-after").code == "invalid_request"


@pytest.mark.usefixtures("no_sockets")
def test_a_suppression_counts_for_test_clients_too(bench: TestBench) -> None:
    path = {"number": "090-0000-0009"}
    bench.request("suppressions", "put_bad_number", pathParameters=path, body={})
    try:
        assert bench.send("090-0000-0009").code == "recipient_suppressed"
    finally:
        bench.request("suppressions", "delete_unknown_number", pathParameters=path)


def test_an_event_of_the_queue_reports_on_no_real_order(bench: TestBench) -> None:
    bench.flip(test=False)
    smsid = bench.send("090-0000-0001").json["smsid"]
    body = json.dumps({"smsid": smsid, "scripted": 1})
    aws.sqs().send_message(QueueUrl=bench.stack.references["OutboxQueue"], MessageBody=body)

    bench.work_off()

    message = bench.read("sms", smsid)
    assert (message["reports"], message["test"]) == ([], False)


@pytest.mark.usefixtures("no_sockets")
def test_a_test_client_counts_apart_and_uses_no_permit(bench: TestBench) -> None:
    put_key(bench.stack, "key-that-counts", *Scope, test=True, limits=ClientLimits(per_hour=50))
    bench.stack.cold_start()
    written, before = len(bench.stack.metrics()), bench.stack.rows("LimitsTable")

    assert bench.send("090-0000-0001", key="key-that-counts").status == 201
    bench.work_off()

    business = [name for name, dimensions in bench.stack.metrics()[written:] if ("test", "true") not in dimensions]
    assert set(business) == {"EntriesFailed"}  # of the queue's batches: 0
    changed = [row["pk"]["S"] for row in bench.stack.rows("LimitsTable") if row not in before]
    assert {"#".join(pk.split("#")[:3]) for pk in changed if "ALL" not in pk} == {"CLIENT_USAGE##TEST"}
    assert {"#".join(pk.split("#")[:2]) for pk in changed if "ALL" in pk} == {"ALL#TEST"}
    used = bench.request("query", "own_key", key="key-that-counts").json
    assert (used["test"], used["used"]["per_hour"], used["limits"]["per_hour"]) == (True, 1, 50)

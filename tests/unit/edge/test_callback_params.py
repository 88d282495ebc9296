"""A callback is read in every form, and only what decides can make it unreadable."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.recording.facts import RecordingReady
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.callbacks import IvrCallEvent, ParsedDeliveryReport, VerificationMode
from switchboard.edge.callback_params import BODY_LIMIT_BYTES, ParsedParams, read_params
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import metrics
from switchboard.edge.webhook_endpoint import Quarantine, WebhookAuthentication, WebhookEndpoint
from switchboard.ports.callbacks import CallbackParams
from switchboard.providers.baidu_vms.webhooks import parse_call_result
from switchboard.providers.biztel.webhooks import parse_call_action, parse_date
from switchboard.providers.mediasms.webhooks import parse_delivery_callback, parse_ivr_call
from tests.callback_forms import BOUNDARY, FORMS, NOISE, Pairs, WrittenCallback, write_multipart, write_part
from tests.events import load_event, with_query
from tests.fakes import FixedClock, InMemoryCallbackArchive
from tests.stored_secret import StoredSecret

TEXT: Final = "認証番号は 1=1 & 100% + {a}; です。\\"
MULTIPART: Final = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One of the four webhooks: its parser, a callback, and the event in it. `others` decide nothing."""

    function: str
    parse: Callable[[CallbackParams], object]
    deciding: Mapping[str, str]
    others: Mapping[str, str]
    event: object

    @property
    def pairs(self) -> Pairs:
        return [*self.others.items(), *self.deciding.items()]


WEBHOOKS: Final = {
    "delivery": Webhook(
        "mediasms_delivery_webhook",
        parse_delivery_callback,
        {"smsid": "order1001", "status": "送信済", "mobilenumber": "+819000000001", "authcode": "0042"},
        {"smstext": TEXT, "mobilecareer": "", "method": "5"},
        ParsedDeliveryReport(
            report=DeliveryReport(smsid="order1001", status="1", recipient="+819000000001"), authcode="0042"
        ),
    ),
    "ivr": Webhook(
        "mediasms_ivr_webhook",
        parse_ivr_call,
        {"mobilenumber": "09000000001", "ipphone": "050-0000-0002", "method": "4", "smsid": "v1"},
        {"smstext": TEXT, "holdingtime": "10"},
        IvrCallEvent(recipient="+819000000001", line="05000000002", mode=VerificationMode.CALL_IN, smsid="v1"),
    ),
    "biztel": Webhook(
        "biztel_call_action_webhook",
        parse_call_action,
        {"ID": "21061600000268000060"},
        {"TEL": "非通知", "DATE": "2021-06-16 20:03:33", "NOTE": TEXT},
        RecordingReady(
            recording_id="21061600000268000060",
            tel="非通知",
            date="2021-06-16 20:03:33",
            called_at=parse_date("2021-06-16 20:03:33"),
        ),
    ),
    "baidu_vms": Webhook(
        "baidu_vms_webhook",
        partial(parse_call_result, call_id_name=("callId",), result_name=("result",)),
        {"callId": "c-1", "result": "answered"},
        {"text": TEXT, "mobile": "13000000001"},
        CallResult(call_id="c-1", result="answered"),
    ),
}


@dataclass(slots=True)
class Receiver:
    """One webhook's endpoint with its real parser, and what it recorded and quarantined."""

    webhook: Webhook
    archive: InMemoryCallbackArchive = field(default_factory=InMemoryCallbackArchive)
    events: list[object] = field(default_factory=list)

    def receive(self, callback: WrittenCallback) -> None:
        event = with_query(load_event(self.webhook.function, "get_query", body=callback.body), *callback.query)
        headers = {} if callback.content_type is None else {"Content-Type": callback.content_type}
        event |= {"headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}
        endpoint: WebhookEndpoint[object] = WebhookEndpoint(
            subject="callback",
            authentication=WebhookAuthentication(
                secret=StoredSecret.of_tokens([event["pathParameters"]["token"]]).cached(), source_ranges=[]
            ),
            parse=self.webhook.parse,
            record=self._record,
            log_fields=lambda _: {},
            outcome_metrics={
                "recorded": Metric.CALL_RESULTS_RECORDED,
                "quarantined": Metric.CALL_RESULTS_QUARANTINED,
            },
            reply=Reply(HTTPStatus.OK, "OK"),
            quarantine=Quarantine(archive=self.archive, clock=FixedClock(), route="route"),
        )
        endpoint.receive(InboundRequest.from_event(event))
        metrics.clear_metrics()

    def _record(self, event: object) -> str:
        self.events.append(event)
        return "recorded"

    @property
    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.archive.quarantined]


@pytest.fixture(params=WEBHOOKS)
def receiver(request: pytest.FixtureRequest) -> Receiver:
    return Receiver(WEBHOOKS[request.param])


def params_of(callback: WrittenCallback) -> ParsedParams:
    event = with_query(load_event("mediasms_delivery_webhook", "post_form_utf8", body=callback.body), *callback.query)
    return read_params(InboundRequest.from_event(event | {"headers": {"Content-Type": callback.content_type or ""}}))


# Forms


@pytest.mark.parametrize("form", FORMS)
def test_a_callback_is_read_in_every_form(receiver: Receiver, form: str) -> None:
    pairs = receiver.webhook.pairs
    if "lines" in form or "raw" in form or "semicolons" in form:
        # What separates the pairs in these forms cannot stand in a value.
        pairs = [(name, value) for name, value in pairs if value != TEXT]

    receiver.receive(FORMS[form](pairs))

    assert (receiver.events, receiver.reasons) == ([receiver.webhook.event], [])


@pytest.mark.parametrize("noise", NOISE)
def test_what_decides_nothing_spoils_nothing(receiver: Receiver, noise: str) -> None:
    callbacks = list(NOISE[noise](receiver.webhook.pairs))

    for callback in callbacks:
        receiver.receive(callback)

    assert receiver.reasons == []
    assert receiver.events == [receiver.webhook.event] * len(callbacks)


@pytest.mark.parametrize("value", ["%81", "%FF", "%EF%BF%BD"], ids=["half", "no byte", "replaced"])
@pytest.mark.parametrize("is_repeated", [True, False], ids=["beside a readable value", "alone"])
def test_an_unreadable_value_that_decides_is_quarantined(receiver: Receiver, value: str, *, is_repeated: bool) -> None:
    name = next(iter(receiver.webhook.deciding))
    pairs = [pair for pair in receiver.webhook.pairs if is_repeated or pair[0] != name]

    receiver.receive(WrittenCallback(FORMS["form"](pairs).body + f"&{name}={value}".encode()))

    assert receiver.events == []
    assert len(receiver.reasons) == 1


@pytest.mark.parametrize("value", ["true", "false", "{}", '{"a": 1}', "[[1]]", "[{}]", "[true]", "NaN", '"\\ud83d"'])
def test_a_json_value_that_is_no_text_and_decides_is_quarantined(receiver: Receiver, value: str) -> None:
    for name in receiver.webhook.deciding:
        if name == "authcode":
            continue
        others = {other: text for other, text in receiver.webhook.pairs if other != name}
        receiver.receive(WrittenCallback(f'{json.dumps(others)[:-1]}, "{name}": {value}}}'.encode()))

    assert receiver.events == []
    assert all(reason.endswith("_unreadable") for reason in receiver.reasons)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda name, value: [(name, value), (name, "a9")], id="same name"),
        pytest.param(lambda name, value: [(name, "a9"), (name.swapcase(), value)], id="two cases"),
        pytest.param(lambda name, value: [(name, value), (f"{name}[]", "a9")], id="list"),
        pytest.param(lambda name, value: [(f" {name}", value), (name, "a9")], id="blank before"),
    ],
)
@pytest.mark.parametrize(
    "form", ["query", "form", "JSON objects of one name each", "multipart", "query and form, half each"]
)
def test_two_values_of_a_name_that_decides_are_quarantined(
    receiver: Receiver, write: Callable[[str, str], Pairs], form: str
) -> None:
    name, value = next(iter(receiver.webhook.deciding.items()))
    rest = [pair for pair in receiver.webhook.pairs if pair[0] != name]

    receiver.receive(FORMS[form]([*write(name, value), *rest]))

    assert receiver.events == []
    assert len(receiver.reasons) == 1


def test_an_unreadable_authcode_costs_the_report_nothing() -> None:
    receiver = Receiver(WEBHOOKS["delivery"])
    pairs = [pair for pair in receiver.webhook.pairs if pair[0] != "authcode"]

    receiver.receive(WrittenCallback(FORMS["form"](pairs).body + b"&authcode=%81"))
    receiver.receive(WrittenCallback(FORMS["form"](pairs).body + b"&authcode=12&authcode=%81"))
    receiver.receive(WrittenCallback(json.dumps({**dict(pairs), "authcode": {"a": "12"}}).encode()))

    report = DeliveryReport(smsid="order1001", status="1", recipient="+819000000001")
    assert receiver.events == [ParsedDeliveryReport(report=report, authcode_unreadable=True)] * 3


# Each name with its values


def values_of(body: bytes, **callback: Any) -> dict[str, tuple[str | None, ...]]:
    return dict(params_of(WrittenCallback(body, **callback)).values)


def test_every_value_is_kept_in_order_with_the_query_first() -> None:
    values = values_of(b"A=3&a=4", query=[("a", "1"), ("a", "2"), ("b", "5")])

    assert values == {"a": ("1", "2", "3", "4"), "b": ("5",)}


@pytest.mark.parametrize("number", ["1563433858.60", "21061600000268000060", "0", "-1.50", "1e5"])
def test_a_number_without_quotes_is_read_as_it_is_written(number: str) -> None:
    assert values_of(f'{{"ID": {number}}}'.encode()) == {"id": (number,)}


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("null", ("",)),
        ("[]", ()),
        ('["a"]', ("a",)),
        ('["a", "a"]', ("a", "a")),
        ('["a", 2, null]', ("a", "2", "")),
        ('["a", {"b": 1}]', ("a", None)),
        ('["a", ["b"]]', ("a", None)),
        ("true", (None,)),
        ("{}", (None,)),
    ],
)
def test_a_json_list_is_read_as_its_elements(value: str, values: tuple[str | None, ...]) -> None:
    assert values_of(f'{{"x": {value}}}'.encode()).get("x", ()) == values


@pytest.mark.parametrize("text", ["送信済", "ドコモ圏外・OFF", "ａｕ 圏外･ＯＦＦ", "①㈱髙", "ｱｲｳ", "ソ表能"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_japanese_is_read_in_both_code_pages(text: str, encoding: str) -> None:
    for body in (f"status={text}", f'{{"status": "{text}"}}', write_multipart([("status", text)]).decode()):
        assert values_of(body.encode(encoding), content_type=MULTIPART) == {"status": (text,)}


def test_a_part_that_the_end_of_the_body_cuts_off_is_unreadable() -> None:
    whole = write_part("smsid", "a1") + write_part("status", "14")

    for length in range(len(write_part("smsid", "a1")), len(whole) + 1):
        values = values_of(whole[:length], content_type=MULTIPART)
        assert values.pop("smsid") in {("a1",), (None,)}
        assert values in ({}, {"status": (None,)}, {"": (None,)}) or not {"status"} & set(values)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b'{"a": ', "not_json", id="broken JSON"),
        pytest.param(b'{"a": 1} {"a": 1}', "not_json", id="two JSON objects"),
        pytest.param(b'[{"a": 1}, 2]', "not_json", id="JSON list of an object and a number"),
        pytest.param(b'{"a":' * 10_000, "not_json", id="deeply nested JSON"),
        pytest.param(b"x" * (BODY_LIMIT_BYTES + 1), "too_large", id="too large"),
    ],
)
def test_a_body_in_no_known_form_is_unreadable(body: bytes, reason: str) -> None:
    with pytest.raises(WebhookUnreadableError, match=f"^{reason}$"):
        values_of(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x81", id="half a character"),
        pytest.param(b"hello", id="a word"),
        pytest.param(b'"smsid=a1"', id="JSON text"),
        pytest.param(b"[1]", id="JSON list of a number"),
        pytest.param(b"<smsid>a1</smsid>", id="XML"),
        pytest.param(b'data={"smsid": "a1"}', id="JSON in a form"),
        pytest.param(b'{"data": {"smsid": "a1"}}', id="JSON object in an object"),
        pytest.param(gzip.compress(b"smsid=a1")[:-4], id="gzip that is cut off"),
        pytest.param(gzip.compress(b"smsid=a1&x=" + b"x" * BODY_LIMIT_BYTES), id="gzip that is too large"),
        pytest.param(base64.b64encode(b"smsid=a1"), id="base64"),
    ],
)
def test_a_body_without_the_name_has_no_such_value(body: bytes) -> None:
    assert params_of(WrittenCallback(body)).find_only("smsid") == ""


@given(st.binary(max_size=200), st.text(max_size=60))
def test_any_body_is_read_or_unreadable(body: bytes, content_type: str) -> None:
    try:
        values = values_of(body, content_type=content_type)
    except WebhookUnreadableError:
        return
    assert all(isinstance(value, str | None) for texts in values.values() for value in texts)


_MULTIPART_PIECES = st.sampled_from(
    [
        *(
            f"--{BOUNDARY}",
            f"--{BOUNDARY}--",
            "--b",
            "\r\n",
            "\n",
            '"',
            ";",
            "smsid",
            "authcode",
            "a1",
            "é",
            "=?utf-8?b?",
        ),
        "Content-Disposition: form-data; name=",
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Type: text/plain; charset=",
        "Content-Transfer-Encoding: base64",
    ]
)


@given(st.lists(_MULTIPART_PIECES, max_size=30).map("".join))
def test_any_multipart_body_is_read_or_unreadable(body: str) -> None:
    try:
        values = values_of(body.encode(), content_type=MULTIPART)
    except WebhookUnreadableError:
        return
    assert all(isinstance(value, str | None) for texts in values.values() for value in texts)


# A form is chosen, and noise put around what decides.
_FORM_NOISE = st.lists(
    st.tuples(st.binary(max_size=6), st.binary(max_size=12)).map(
        lambda pair: b"=".join(b"x" + part.replace(b"&", b"") for part in pair)
    ),
    max_size=8,
)
_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_JSON_NOISE = st.dictionaries(st.text(max_size=4).map("x{}".format), _ANY_JSON, max_size=6)
_PART_NOISE = st.lists(st.tuples(st.sampled_from(["", "x", "smstext", "日"]), st.binary(max_size=20)), max_size=6)


@given(st.data(), st.sampled_from(sorted(WEBHOOKS)))
def test_what_decides_survives_any_surroundings(data: st.DataObject, name: str) -> None:
    receiver = Receiver(WEBHOOKS[name])
    pairs = receiver.webhook.pairs

    before, after = data.draw(_FORM_NOISE), data.draw(_FORM_NOISE)
    receiver.receive(WrittenCallback(b"&".join([*before, FORMS["form"](pairs).body, *after])))

    members = list((data.draw(_JSON_NOISE) | dict(pairs)).items())
    order = data.draw(st.permutations(members))
    receiver.receive(WrittenCallback(json.dumps(dict(order)).encode()))

    first, last = (
        b"".join(write_part(part_name, content) for part_name, content in data.draw(_PART_NOISE)) for _ in range(2)
    )
    body = write_multipart(pairs, extra=first, end="") + last + f"--{BOUNDARY}--".encode()
    receiver.receive(WrittenCallback(body, MULTIPART))

    assert (receiver.events, receiver.reasons) == ([receiver.webhook.event] * 3, [])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"&" * BODY_LIMIT_BYTES, id="ampersands"),
        pytest.param(b"a&" * (BODY_LIMIT_BYTES // 2), id="pairs"),
        pytest.param(b"smsid=a1&" * (BODY_LIMIT_BYTES // 9), id="equal pairs"),
        pytest.param(b"+" * (BODY_LIMIT_BYTES - 1) + b"x", id="blanks"),
        pytest.param(b"[" * BODY_LIMIT_BYTES, id="brackets"),
        pytest.param(b'{"a":1' + b',"a":1' * (BODY_LIMIT_BYTES // 6 - 2) + b"}", id="members"),
        pytest.param(f"--{BOUNDARY}\r\n".encode() * (BODY_LIMIT_BYTES // 50), id="parts"),
        pytest.param(b"--x" + b" " * (BODY_LIMIT_BYTES - 3), id="boundary of blanks"),
        pytest.param(b"amp;" * (BODY_LIMIT_BYTES // 4), id="amp"),
        pytest.param(gzip.compress(b"x" * 50_000_000)[:BODY_LIMIT_BYTES], id="gzip bomb"),
    ],
)
def test_the_largest_bodies_are_read_within_memory_and_time(body: bytes) -> None:
    tracemalloc.start()
    try:
        values_of(body, content_type=MULTIPART)
    except WebhookUnreadableError as error:
        assert str(error) in {"not_json", "not_multipart"}
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 40_000_000

"""MediaSMS' callbacks are parsed as the document describes them, and malformed ones are never quoted."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import switchboard
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.callbacks import IvrCallEvent, ParsedDeliveryReport, VerificationMode
from switchboard.edge.callback_params import ParsedParams
from switchboard.providers.mediasms import webhooks
from switchboard.providers.mediasms.webhooks import MAX_AUTHCODE_DIGITS
from tests.ids import describe_row
from tests.strategies import mobile_numbers, written_forms

REPORT = {"smsid": "a1", "status": "1", "mobilenumber": "09000000001"}
IVR_CALL = {"mobilenumber": "09000000001", "ipphone": "05000000002", "method": "4"}
LINES = st.integers(min_value=0, max_value=9_999_999).map("0500{:07d}".format)


def parse_delivery_report(params: Mapping[str, str]) -> DeliveryReport:
    return webhooks.parse_delivery_report(ParsedParams.from_pairs(params.items()))


def parse_delivery_callback(params: Mapping[str, str]) -> ParsedDeliveryReport:
    return webhooks.parse_delivery_callback(ParsedParams.from_pairs(params.items()))


def parse_ivr_call(params: Mapping[str, str]) -> IvrCallEvent:
    return webhooks.parse_ivr_call(ParsedParams.from_pairs(params.items()))


def test_a_report_is_parsed() -> None:
    everything = REPORT | {"mobilecareer": "", "smstext": "text", "method": "1", "ipphone": ""}
    assert parse_delivery_report(everything) == DeliveryReport(smsid="a1", status="1", recipient="+819000000001")


def test_names_in_any_case_and_padded_values_are_parsed() -> None:
    report = parse_delivery_report({"SmsId": " a1 ", "STATUS": "送信済\r\n", "MobileNumber": " 09000000001"})
    assert report == DeliveryReport(smsid="a1", status="1", recipient="+819000000001")


def test_an_unlisted_status_is_kept() -> None:
    assert parse_delivery_report(REPORT | {"status": "楽天　圏外"}).status == "楽天 圏外"


@pytest.mark.parametrize(
    "changed",
    [
        {"smsid": ""},
        {"smsid": "a-b"},
        {"smsid": "a" * 51},
        {"smsid": "ａ"},
        {"smsid": "a\n1"},
        {"status": ""},
        {"status": " \u3000"},
        {"status": "x" * 65},
        {"status": "a\x00b"},
        {"status": "a\x1b[0m"},
        {"status": "\udc80"},
        {"status": "送信済".encode("cp932").decode("utf-8", "replace")},
        {"SMSID": "b2"},
        {"Status": "0"},
    ],
    ids=describe_row,
)
def test_a_malformed_report_is_unreadable_and_not_quoted(changed: dict[str, str]) -> None:
    secret = "canary-9"
    with pytest.raises(WebhookUnreadableError) as unreadable:
        parse_delivery_report(REPORT | {"authcode": secret, "smstext": secret} | changed)
    message = str(unreadable.value)
    assert secret not in message
    assert "09000000001" not in message
    assert all(len(value) < 3 or value not in message for value in changed.values())


@pytest.mark.parametrize("missing", ["smsid", "status"])
def test_a_report_without_its_id_or_status_is_unreadable(missing: str) -> None:
    with pytest.raises(WebhookUnreadableError):
        parse_delivery_report({name: value for name, value in REPORT.items() if name != missing})


def test_a_repeated_equal_value_is_accepted() -> None:
    assert parse_delivery_report(REPORT | {"SMSID": "a1"}).smsid == "a1"


@pytest.mark.parametrize(
    ("text", "recipient"),
    [
        ("090-0000-0001", "+819000000001"),
        ("０９０－００００－０００１", "+819000000001"),
        ("819000000001", "+819000000001"),
        ("+819000000001", "+819000000001"),
        ("0300000001", "+81300000001"),
        ("tel:+81-90-0000-0001", "+819000000001"),
        ("\u202d090\u20110000\u20110001\u202c", "+819000000001"),
        ("1.555.000.0001", "+15550000001"),
        ("15550000001", "+15550000001"),
        ("8600000000001", "+8600000000001"),
        ("", None),
        ("-", None),
        ("unknown", None),
    ],
)
def test_a_number_is_parsed_in_every_known_form(text: str, recipient: str | None) -> None:
    report = parse_delivery_report(REPORT | {"mobilenumber": text})
    assert report.recipient == recipient


def test_a_report_may_lack_the_number() -> None:
    assert parse_delivery_report({"smsid": "a1", "status": "1"}).recipient is None


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("9000000001x", "9000000001"),
        ("819000000001x", "819000000001"),
        ("8190000000*01", "819000000001"),
        ("090****0001", "0900001"),
    ],
)
def test_a_number_in_another_form_is_kept_as_its_digits(text: str, digits: str) -> None:
    assert parse_delivery_report(REPORT | {"mobilenumber": text}).recipient == digits


def test_a_report_holds_no_authcode() -> None:
    assert "canary" not in repr(parse_delivery_report(REPORT | {"authcode": "canary", "AuthCode": "canary"}))


@given(st.dictionaries(st.sampled_from(["smsid", "status", "mobilenumber", "Status", "x"]), st.text(max_size=80)))
def test_any_parameters_are_parsed_or_unreadable(params: dict[str, str]) -> None:
    try:
        report = parse_delivery_report(params)
    except WebhookUnreadableError as error:
        assert "canary" not in "".join(traceback.format_exception_only(error))
    else:
        assert report.smsid.isalnum()
        assert 1 <= len(report.status) <= 64


@pytest.mark.parametrize("name", ["authcode", "AuthCode", " AUTHCODE "])
@pytest.mark.parametrize(
    ("text", "authcode"),
    [("0042", "0042"), (" 123456\r\n", "123456"), ("１２３４", "1234"), ("7", "7"), ("0" * MAX_AUTHCODE_DIGITS,) * 2],
    ids=["leading zeros", "padded", "full width", "one digit", "maximum length"],
)
def test_an_authcode_is_parsed_with_the_report(name: str, text: str, authcode: str) -> None:
    callback = parse_delivery_callback(REPORT | {name: text})
    assert callback == ParsedDeliveryReport(report=parse_delivery_report(REPORT), authcode=authcode)


@pytest.mark.parametrize(
    "authcodes",
    [{}, {"authcode": ""}, {"authcode": " \u3000"}, {"authcode": "", "AUTHCODE": " "}],
    ids=describe_row,
)
def test_a_report_may_lack_the_authcode(authcodes: dict[str, str]) -> None:
    callback = parse_delivery_callback(REPORT | authcodes)
    assert callback == ParsedDeliveryReport(report=parse_delivery_report(REPORT))


@pytest.mark.parametrize(
    "authcodes",
    [
        {"authcode": "12a4"},
        {"authcode": "12 34"},
        {"authcode": "-123"},
        {"authcode": "1.5"},
        {"authcode": "①②③④"},
        {"authcode": "٤٢"},
        {"authcode": "1\x00"},
        {"authcode": "1" * (MAX_AUTHCODE_DIGITS + 1)},
        {"authcode": "1234", "AuthCode": "4321"},
    ],
    ids=describe_row,
)
def test_an_unreadable_authcode_is_dropped_from_its_report(authcodes: dict[str, str]) -> None:
    callback = parse_delivery_callback(REPORT | authcodes)
    assert callback.report == parse_delivery_report(REPORT)
    assert (callback.authcode, callback.authcode_unreadable) == (None, True)


def test_an_equal_authcode_in_two_widths_is_accepted() -> None:
    assert parse_delivery_callback(REPORT | {"authcode": "12", "AuthCode": "１２"}).authcode == "12"


@given(st.text(max_size=40))
def test_any_authcode_is_digits_and_hidden_from_the_repr(text: str) -> None:
    callback = parse_delivery_callback(REPORT | {"authcode": "42" + text})
    authcode = callback.authcode
    assert authcode is None or (authcode.isascii() and authcode.isdigit() and len(authcode) <= MAX_AUTHCODE_DIGITS)
    assert repr(callback) == repr(replace(callback, authcode=None))
    assert callback.authcode_unreadable == (authcode is None)


def test_an_unreadable_report_does_not_quote_its_authcode() -> None:
    with pytest.raises(WebhookUnreadableError) as unreadable:
        parse_delivery_report({"smsid": "a1", "authcode": "314159"})
    assert "314159" not in str(unreadable.value)


@pytest.mark.parametrize(("method", "mode"), [("2", VerificationMode.SMS_AND_CALL_IN), ("4", VerificationMode.CALL_IN)])
def test_an_ivr_call_is_parsed(method: str, mode: VerificationMode) -> None:
    everything = IVR_CALL | {"method": method, "mobilecareer": "b", "smstext": "text", "holdingtime": "10"}
    ivr_call = IvrCallEvent(recipient="+819000000001", line="05000000002", mode=mode, smsid=None)
    assert parse_ivr_call(everything) == ivr_call
    assert parse_ivr_call(everything | {"smsid": ""}) == ivr_call
    assert parse_ivr_call(everything | {"SmsId": " v1 "}) == replace(ivr_call, smsid="v1")


@pytest.mark.parametrize("method", ["04", "4.0", "４", " 4\n"])
def test_the_method_is_read_in_each_spelling_of_its_number(method: str) -> None:
    assert parse_ivr_call(IVR_CALL | {"method": method}).mode is VerificationMode.CALL_IN


@pytest.mark.parametrize(
    "repeated",
    [
        {"STATUS": "送信済"},
        {"Status": "01"},
        {"MobileNumber": "+81 90 0000 0001"},
        {"SmsId": ""},
        {"Status": " "},
        {"MobileNumber": ""},
    ],
    ids=describe_row,
)
def test_two_spellings_of_a_value_that_decides_are_one_value(repeated: dict[str, str]) -> None:
    assert parse_delivery_report(REPORT | repeated) == parse_delivery_report(REPORT)


@given(st.data(), mobile_numbers(), LINES)
def test_an_ivr_call_is_equal_in_every_form_of_its_numbers(data: st.DataObject, number: str, line: str) -> None:
    params = {
        "MobileNumber": data.draw(written_forms(number)),
        "IPPHONE": data.draw(written_forms(line)),
        "method": "4",
    }
    ivr_call = parse_ivr_call(params)
    assert (ivr_call.recipient, ivr_call.line) == (f"+81{number[1:]}", line)


@pytest.mark.parametrize(("text", "recipient"), [("03-0000-0001", "+81300000001"), ("090****0001", "0900001")])
def test_the_calling_number_is_parsed_like_a_reports_number(text: str, recipient: str) -> None:
    assert parse_ivr_call(IVR_CALL | {"mobilenumber": text}).recipient == recipient


@pytest.mark.parametrize(
    "changed",
    [
        {"method": ""},
        {"method": "1"},
        {"method": "5"},
        {"method": "6"},
        {"method": "4.5"},
        {"method": "44"},
        {"METHOD": "2"},
        {"mobilenumber": ""},
        {"mobilenumber": "anonymous"},
        {"MobileNumber": "09000000003"},
        {"ipphone": ""},
        {"ipphone": "0500000002"},
        {"ipphone": "09000000002"},
        {"ipphone": "050-canary"},
        {"IpPhone": "05000000003"},
        {"smsid": "can-ary"},
        {"smsid": "a" * 51},
        {"smsid": "v1", "SMSID": "v2"},
    ],
    ids=describe_row,
)
def test_a_malformed_ivr_call_is_unreadable_and_not_quoted(changed: dict[str, str]) -> None:
    with pytest.raises(WebhookUnreadableError) as unreadable:
        parse_ivr_call(IVR_CALL | changed)
    text = "".join(traceback.format_exception(unreadable.value))
    for value in (*IVR_CALL.values(), *changed.values()):
        assert len(value) < 3 or value not in str(unreadable.value)
    assert "00000001" not in text


@pytest.mark.parametrize("missing", IVR_CALL)
def test_an_ivr_call_needs_number_line_and_method(missing: str) -> None:
    with pytest.raises(WebhookUnreadableError):
        parse_ivr_call({name: value for name, value in IVR_CALL.items() if name != missing})


@given(
    st.dictionaries(
        st.sampled_from([*IVR_CALL, "smsid", "Method", "x"]), st.sampled_from(["2", "4", "05000000001"]) | st.text()
    )
)
def test_any_parameters_are_an_ivr_call_or_unreadable(params: dict[str, str]) -> None:
    try:
        ivr_call = parse_ivr_call(params)
    except WebhookUnreadableError:
        return
    assert ivr_call.line.startswith("050")
    assert ivr_call.recipient.removeprefix("+").isdigit()
    assert ivr_call.mode in {VerificationMode.CALL_IN, VerificationMode.SMS_AND_CALL_IN}


def test_the_parser_loads_no_http_client() -> None:
    package = Path(switchboard.__file__).parents[1]
    script = (
        "import sys; import switchboard.providers.mediasms.webhooks; "
        "print([name for name in ('urllib3', 'ssl', 'http.client', 'requests', 'pydantic') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", script], cwd=package, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"

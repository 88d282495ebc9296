"""MediaSMS' delivery notifications are read as the document lists them, and are never quoted where they are not."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import switchboard
from switchboard.domain.delivery import DeliveryReport
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.providers.mediasms.webhooks import parse_delivery_report

REPORT = {"smsid": "a1", "status": "1", "mobilenumber": "09000000001"}


def test_a_report_is_read() -> None:
    everything = REPORT | {"mobilecareer": "", "smstext": "text", "method": "1", "ipphone": ""}
    assert parse_delivery_report(everything) == DeliveryReport(smsid="a1", status="1", recipient="+819000000001")


def test_names_are_read_in_any_case_and_values_without_the_space_around_them() -> None:
    report = parse_delivery_report({"SmsId": " a1 ", "STATUS": "送信済\r\n", "MobileNumber": " 09000000001"})
    assert report == DeliveryReport(smsid="a1", status="1", recipient="+819000000001")


def test_a_status_that_no_row_has_is_kept() -> None:
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
        {"SMSID": "b2"},
        {"Status": "0"},
    ],
)
def test_what_the_document_does_not_describe_is_unreadable_and_not_repeated(changed: dict[str, str]) -> None:
    secret = "canary-9"
    with pytest.raises(WebhookUnreadableError) as unreadable:
        parse_delivery_report(REPORT | {"authcode": secret, "smstext": secret} | changed)
    shown = str(unreadable.value)
    assert secret not in shown
    assert "09000000001" not in shown
    assert all(len(value) < 3 or value not in shown for value in changed.values())


@pytest.mark.parametrize("missing", ["smsid", "status"])
def test_a_report_without_its_id_or_status_is_unreadable(missing: str) -> None:
    with pytest.raises(WebhookUnreadableError):
        parse_delivery_report({name: value for name, value in REPORT.items() if name != missing})


def test_the_same_value_twice_is_no_contradiction() -> None:
    assert parse_delivery_report(REPORT | {"SMSID": "a1"}).smsid == "a1"


@pytest.mark.parametrize(
    ("written", "recipient"),
    [
        ("090-0000-0001", "+819000000001"),
        ("０９０－００００－０００１", "+819000000001"),
        ("819000000001", "+819000000001"),
        ("+819000000001", "+819000000001"),
        ("0300000001", "+81300000001"),
        ("15550000001", "+15550000001"),
        ("8600000000001", "+8600000000001"),
        ("", None),
        ("-", None),
        ("unknown", None),
    ],
)
def test_the_number_is_read_in_the_forms_it_is_sent_in(written: str, recipient: str | None) -> None:
    report = parse_delivery_report(REPORT | {"mobilenumber": written})
    assert report.recipient == recipient


def test_a_report_may_name_no_number() -> None:
    assert parse_delivery_report({"smsid": "a1", "status": "1"}).recipient is None


@pytest.mark.parametrize(("written", "digits"), [("9000000001x", "9000000001"), ("090****0001", "0900001")])
def test_a_number_in_no_known_form_is_kept_as_its_digits(written: str, digits: str) -> None:
    assert parse_delivery_report(REPORT | {"mobilenumber": written}).recipient == digits


def test_the_generated_code_is_in_no_report() -> None:
    assert "canary" not in repr(parse_delivery_report(REPORT | {"authcode": "canary", "AuthCode": "canary"}))


@given(st.dictionaries(st.sampled_from(["smsid", "status", "mobilenumber", "Status", "x"]), st.text(max_size=80)))
def test_any_parameters_are_either_read_or_unreadable(params: dict[str, str]) -> None:
    try:
        report = parse_delivery_report(params)
    except WebhookUnreadableError as error:
        assert "canary" not in "".join(traceback.format_exception_only(error))
    else:
        assert report.smsid.isalnum()
        assert 1 <= len(report.status) <= 64


def test_reading_a_webhook_loads_no_http_client() -> None:
    package = Path(switchboard.__file__).parents[1]
    script = (
        "import sys; import switchboard.providers.mediasms.webhooks; "
        "print([name for name in ('urllib3', 'ssl', 'http.client', 'requests', 'pydantic') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], cwd=package, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"

"""A MediaSMS request that the document does not allow cannot be built."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from switchboard.domain.errors import InvalidRequestError
from switchboard.providers.mediasms.parameters import MediaSmsRequest

SPEC = Path(__file__).parents[3] / "specs" / "mediasms_parameters.csv"
NUMBERS = {"status", "method", "holdingtime", "repeatcall", "long_text"}
BASE = {"mobilenumber": "09000000001", "smstext": "code"}
CALL_OUT = {
    "mobilenumber": "09000000001",
    "method": 5,
    "ipphone": "05000000001",
    "holdingtime": 10,
    "repeatcall": 3,
}


def parse_value(name: str, value: str) -> object:
    return int(value) if name in NUMBERS else value


def parse_conditions(text: str) -> dict[str, object]:
    """Parse `name=value …` over BASE. An empty value removes the parameter."""
    parameters: dict[str, object] = dict(BASE)
    for name, _, value in (pair.partition("=") for pair in text.split()):
        parameters[name] = parse_value(name, value) if value else None
    return parameters


with SPEC.open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))

CASES = [
    pytest.param(row["parameter"], row["with"], value, id=f"{row['parameter']}={value} {row['with']}")
    for row in ROWS
    for value in row["accepted"].split()
]
REFUSED_CASES = [
    pytest.param(row["parameter"], row["with"], value, id=f"{row['parameter']}={value} {row['with']}")
    for row in ROWS
    for value in row["refused"].split()
]


def request(**parameters: Any) -> MediaSmsRequest:
    return MediaSmsRequest(**parameters)


def problems_of(**parameters: Any) -> dict[str, str]:
    """Return the code of every problem of an invalid request, by its field."""
    with pytest.raises(InvalidRequestError) as refused:
        request(**parameters)
    return {problem.field: problem.code for problem in refused.value.problems}


def test_the_request_has_the_documents_parameters_in_order() -> None:
    documented = list(dict.fromkeys(row["parameter"] for row in ROWS))
    assert documented.pop() == "その他"
    assert [field.name for field in dataclasses.fields(MediaSmsRequest)] == documented


@pytest.mark.parametrize(("name", "conditions", "value"), CASES)
def test_a_value_within_the_documents_limits_is_sent(name: str, conditions: str, value: str) -> None:
    accepted = request(**parse_conditions(conditions) | {name: parse_value(name, value)})
    assert (name, value) in accepted.form_fields()


@pytest.mark.parametrize(("name", "conditions", "value"), REFUSED_CASES)
def test_a_value_beyond_the_documents_limits_is_refused(name: str, conditions: str, value: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        request(**parse_conditions(conditions) | {name: parse_value(name, value)})
    assert name in {problem.field for problem in refused.value.problems}
    assert len(value) < 4 or value not in str(refused.value)


def test_form_fields_are_in_the_documents_order() -> None:
    assert request(**CALL_OUT, smsid="a1", status=1).form_fields() == [
        ("mobilenumber", "09000000001"),
        ("status", "1"),
        ("smsid", "a1"),
        ("method", "5"),
        ("ipphone", "05000000001"),
        ("holdingtime", "10"),
        ("repeatcall", "3"),
    ]


def test_zero_is_a_value_and_not_an_absence() -> None:
    fields = dict(request(**CALL_OUT | {"holdingtime": 0, "repeatcall": 0}, status=0).form_fields())
    assert (fields["holdingtime"], fields["repeatcall"], fields["status"]) == ("0", "0", "0")


def test_an_sms_needs_either_a_text_or_a_template() -> None:
    for method in (None, 1, 2):
        sms = {"mobilenumber": "09000000001", "method": method, "ipphone": "05000000001"}
        assert problems_of(**sms) == {"smstext": "required"}
        assert problems_of(**sms, smstext="a", smstextid="1") == {"smstext": "conflict"}
        assert problems_of(**sms, smstext2="a", smstextid="1") == {"smstext2": "conflict"}
        assert problems_of(**sms, smstext2="a") == {"smstext": "required"}
        assert request(**sms, smstextid="1").smstextid == "1"


def test_a_call_without_an_sms_may_have_a_text() -> None:
    call_in = {"mobilenumber": "09000000001", "method": 4, "ipphone": "05000000001"}
    assert "smstext" not in dict(request(**call_in).form_fields())
    assert dict(request(**call_in, smstext="a").form_fields())["smstext"] == "a"
    assert request(**CALL_OUT).smstext is None
    assert problems_of(**call_in, smstext="a", smstextid="1") == {"smstext": "conflict"}


@pytest.mark.parametrize("method", [2, 4])
def test_verification_by_telephone_needs_a_line(method: int) -> None:
    assert problems_of(**BASE, method=method) == {"ipphone": "required"}


@pytest.mark.parametrize("missing", ["ipphone", "holdingtime", "repeatcall"])
def test_calling_out_needs_line_holding_time_and_repetitions(missing: str) -> None:
    assert problems_of(**{name: value for name, value in CALL_OUT.items() if name != missing}) == {missing: "required"}


def test_calling_out_does_not_reach_overseas() -> None:
    overseas = CALL_OUT | {"mobilecareer": "c", "mobilenumber": "15550000001"}
    assert problems_of(**overseas) == {"mobilecareer": "conflict"}
    assert request(**overseas | {"method": 4}).method == 4


def test_fixed_lines_are_for_verification_only() -> None:
    fixed = {"mobilecareer": "a", "mobilenumber": "0300000001"}
    assert problems_of(**BASE | fixed) == {"mobilecareer": "conflict"}
    assert problems_of(**BASE | fixed, method=1) == {"mobilecareer": "conflict"}
    assert request(**CALL_OUT | fixed).mobilenumber == "0300000001"


def test_delivery_reports_need_an_id() -> None:
    assert problems_of(**BASE, status=1) == {"smsid": "required"}
    assert request(**BASE, status=0).smsid is None


@pytest.mark.parametrize("method", [6, 7])
def test_undocumented_methods_are_refused_unless_allowed(method: int) -> None:
    assert problems_of(**BASE, method=method) == {"method": "not_allowed"}
    assert request(**BASE, method=method, allow_undocumented_methods=True).method == method
    assert problems_of(**BASE, method=8, allow_undocumented_methods=True) == {"method": "invalid"}


def test_true_is_not_a_number() -> None:
    assert problems_of(**BASE, smsid="a", status=True) == {"status": "invalid"}
    assert problems_of(**BASE, method=True) == {"method": "invalid"}


def test_a_text_that_would_be_cut_is_refused() -> None:
    number = {"mobilenumber": "09000000001"}
    assert request(**number, smstext="a" * 140)
    assert problems_of(**number, smstext="a" * 141) == {"smstext": "too_long"}
    assert request(**number, smstext="あ" * 70)
    assert problems_of(**number, smstext="a" * 70 + "あ") == {"smstext": "too_long"}
    assert request(**number, smstext="a" * 70 + "あ", mobilecareer="3")
    assert request(**number, smstext="あ" * 660, long_text=True)
    assert problems_of(**number, smstext="あ" * 671, long_text=True) == {"smstext": "too_long"}
    assert problems_of(**number, smstext="a", smstext2="あ" * 671, long_text=True) == {"smstext2": "too_long"}
    assert problems_of(**number, smstext=" \n") == {"smstext": "empty"}


def test_an_invalid_request_names_every_problem() -> None:
    assert problems_of(mobilenumber="1", smstitle="1", status=1) == {
        "mobilenumber": "invalid",
        "smstitle": "invalid",
        "smstext": "required",
        "smsid": "required",
    }


def test_the_repr_of_a_request_hides_number_and_texts() -> None:
    text = repr(request(mobilenumber="09000000001", smstext="canary-1", smstext2="canary-2", long_text=True))
    assert "0001" not in text
    assert "canary" not in text

"""The text of a code is never cut by the provider, whatever its template, its length and its origin are (I17)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.sms.requests import preflight
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.requests import Language, VerificationRequest, VerificationRules, compose
from switchboard.domain.verification.verifications import render
from tests.depth import at_depth

_LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
_ORIGINS = st.none() | st.lists(_LABELS, min_size=2, max_size=5).map(".".join)
_WORDS = st.text("認証コード code。\n12ｱ", max_size=80)


@settings(max_examples=at_depth(usual=150, proof=400), deadline=None, derandomize=True)
@given(
    before=_WORDS, after=_WORDS, length=st.integers(4, 10), origin=_ORIGINS, long_sms=st.booleans(), code=st.integers(0)
)
def test_a_text_that_is_accepted_fits_with_every_code(
    *, before: str, after: str, length: int, origin: str | None, long_sms: bool, code: int
) -> None:
    request = VerificationRequest(
        to="090-0000-0001",
        mode=VerificationMode.SMS_CODE,
        text=f"{before}{{code}}{after}",
        code_length=length,
        origin=origin,
    )
    rules = VerificationRules(
        pool=(), holding_minutes=10, max_holding_minutes=30, max_repeat_calls=2, long_sms=long_sms
    )
    digits = str(code % 10**length).zfill(length)
    try:
        content = compose(request, rules=rules).content
    except InvalidRequestError:
        assert not preflight(render(f"{before}{{code}}{after}", digits, origin=origin), long_sms=long_sms).fits
        return
    assert content is not None
    assert content.text is not None
    sent = render(content.text, digits, origin=origin)
    assert preflight(sent, long_sms=long_sms).fits
    assert sent.count(digits) >= 1
    assert origin is None or sent.endswith(f"\n@{origin} #{digits}")


@pytest.mark.parametrize(
    ("text", "language", "problem"),
    [
        ("code {code}", "en", ("language", "exclusive")),
        ("no place", None, ("text", "no_code")),
        ("{code} and {code}", None, ("text", "no_code")),
    ],
    ids=["text and language", "no place", "two places"],
)
def test_a_template_that_cannot_be_filled_in_is_refused(
    text: str, language: Language | None, problem: tuple[str, str]
) -> None:
    request = VerificationRequest(
        to="090-0000-0001", mode=VerificationMode.SMS_CODE, text=text, language=language, code_length=6
    )
    rules = VerificationRules(pool=(), holding_minutes=10, max_holding_minutes=30, max_repeat_calls=2)

    with pytest.raises(InvalidRequestError) as refused:
        compose(request, rules=rules)

    assert [(fault.field, fault.code) for fault in refused.value.problems] == [problem]


@pytest.mark.parametrize(
    "origin",
    [
        "Example.com",
        "example",
        "https://example.com",
        "example.com\n",
        "example.com #123456",
        "-a.example.com",
        f"{'a' * 64}.com",
        f"{'a.' * 124}com.jp",
    ],
    ids=[
        "upper case",
        "one label",
        "address",
        "newline",
        "other code",
        "hyphen first",
        "label of 64",
        "254 characters",
    ],
)
def test_an_origin_that_is_no_host_name_is_refused(origin: str) -> None:
    request = VerificationRequest(to="090-0000-0001", mode=VerificationMode.SMS_CODE, text="{code}", origin=origin)
    rules = VerificationRules(pool=(), holding_minutes=10, max_holding_minutes=30, max_repeat_calls=2, long_sms=True)

    with pytest.raises(InvalidRequestError) as refused:
        compose(request, rules=rules)

    assert [(fault.field, fault.code) for fault in refused.value.problems] == [("origin", "invalid_origin")]

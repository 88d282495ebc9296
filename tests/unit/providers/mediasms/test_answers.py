"""An answer of MediaSMS is accepted by a bare 200 only, refused by a code of the table only, and unknown otherwise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    OutcomeUnknownError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    RefusedError,
    SuspectedAuthenticationFailureError,
    UnexpectedAnswerError,
)
from switchboard.ports.providers import Receipt
from switchboard.providers.mediasms.answers import find_code, read_receipt
from switchboard.providers.mediasms.response_codes import REFUSALS
from tests.ids import describe_row

UNKNOWN = UnexpectedAnswerError
PAGE = "<!DOCTYPE html><html><head><title>503 MediaSMS 200</title><style>p{width:560px}</style></head><body>{}</body>"


def outcome(status: int, body: bytes | str, *, delimited: bool = True) -> tuple[type[object], str | None]:
    """Return the class of the receipt or the error, and its code."""
    body = body.encode() if isinstance(body, str) else body
    try:
        receipt = read_receipt(status, body, delimited=delimited, operation="try")
    except ProviderError as error:
        assert (error.provider, error.operation, error.http_status) == ("mediasms", "try", status)
        return type(error), error.provider_code
    return type(receipt), receipt.provider_code


BARE = [
    "{}",
    " {}\r\n",
    "\ufeff{}\n",
    "<html><head></head>\n<body>{}</body></html>",
    "<p\nclass='x 999'> {} </p>",
    "<HTML><BODY><BR/>{}<!-- 999 --></BODY></HTML>",
    "<script>var x = 999;</script><style>b{{top:9px}}</style>{}",
    "<html><head><title>Error 999</title></head><body><div><span>{}</span></div></body></html>",
    "<html><head><title>999</title><body>{}",
    "<?xml version='1.0' encoding='UTF-8'?>\n<result>{}</result>",
    "<response><code><![CDATA[{}]]></code></response>",
    "&nbsp;{}&#10;",
    '"{}"',
    '{{"result": "{}"}}',
    '{{"result": {}, "more": [], "message": "", "error": null}}',
    '{{"code":{}}}',
    '{{"Status":" {} "}}',
    '{{"result_code": "{}"}}',
    '<pre>{{"result": "{}"}}</pre>',
]


@pytest.mark.parametrize("form", BARE, ids=describe_row)
@pytest.mark.parametrize("code", ["200", "560", "401", "503", "570"])
def test_a_bare_code_is_read_in_every_known_form(form: str, code: str) -> None:
    expected = Receipt if code == "200" else REFUSALS.get(code, UNKNOWN)
    assert outcome(200, form.format(code)) == (expected, code)


@pytest.mark.parametrize("body", ["２００", "&#50;00", "<b>２0&#x30;</b>", b"\xef\xbb\xbf200", b"<b>200</b>\xff"[:-1]])
def test_entities_and_full_width_digits_are_digits(body: bytes | str) -> None:
    assert outcome(200, body) == (Receipt, "200")


WRAPPED = [
    "ERROR:{}",
    "ERROR {}",
    "error={}",
    "Error code: {}.",
    "code {}",
    "status={} NG",
    "result: {}",
    "STATUS_CODE {}",
    "ERROR({})",
    "ERROR[{}]: NG",
    "Error #{}",
    "ERROR;{}",
    "ERROR -> {}",
    'error="{}"',
    "Code: '{}'",
    "<h1>Error &lt;{}&gt;</h1>",
    "{} Not accepted",
    "{}: 番号が不正です",
    "{}\n{}\n",
    "<div>ERROR {}</div><p>Please ask the support.</p>",
    "<h1>Error</h1><p>code <b>{}</b></p>",
    "<h1>&#69;RROR&colon; {}</h1>",
    "<r><result>{}</result><message>NG</message></r>",
    PAGE.replace("{}", "<h1>Error {}</h1><p>Ask us.</p>").replace("{width:560px}", "{{width:560px}}"),
    '{{"code":{},"message":"NG"}}',
    '{{"message":"NG","code":"{}"}}',
    '{{"status":"NG","result":{}}}',
    '{{"status":"error","errorCode":"{}"}}',
    '{{"error":{{"code":{}}}}}',
    '{{"error":{}}}',
    '{{"result":"ERROR:{}"}}',
    '{{"code":{},"error":"{}"}}',
    "<html><body>{{&quot;code&quot;: {}, &quot;message&quot;: &quot;NG&quot;}}</body></html>",
]


@pytest.mark.parametrize("form", WRAPPED, ids=describe_row)
def test_a_refusal_is_read_in_every_wrapping(form: str) -> None:
    for code, refusal in REFUSALS.items():
        body = form.replace("{}", code, 9).replace("{{", "{").replace("}}", "}")
        expected = (UNKNOWN, None) if code == "503" else (refusal, code)
        assert outcome(200, body) == expected


@pytest.mark.parametrize("form", WRAPPED, ids=describe_row)
@pytest.mark.parametrize("code", ["200", "503", "570", "999"])
def test_a_wrapped_code_that_refuses_nothing_is_unknown(form: str, code: str) -> None:
    body = form.replace("{}", code, 9).replace("{{", "{").replace("}}", "}")
    assert outcome(200, body) == (UNKNOWN, None)


UNREADABLE = [
    "",
    "<html></html>",
    "<html><head><title>200</title></head></html>",
    "<head>200</head>",
    "<script>200",
    "<!-- 200 -->",
    "<input value=200>",
    "<h1>It works!</h1>",
    "<h1>ただいまメンテナンス中です</h1><p>11月26日 2:00 から 5:60 まで</p>",
    "<form action=/login><label>ID<input name=user></label><button>Login</button></form>",
    "OK",
    "20",
    "2000",
    "200 OK",
    "200 200",
    "200 402",
    "OK 200",
    "status: 200",
    "code=200",
    "<h1>200</h1><p>OK</p>",
    "<td>2</td><td>00</td>",
    "<b>20</b>0",
    "200<br>560",
    "Error 5601",
    "ERROR: 56",
    "560-1",
    "560.5",
    "560px",
    "ERROR:560 (2026-11-26)",
    "<div>ERROR 560</div><p>Tel. 03-0000-0001</p>",
    "<p>Your message 560 was sent.</p>",
    "There were 560 errors",
    "<p>We sent it. Code 560</p>",
    "message 560",
    "-402",
    "402.0",
    "true",
    "[402]",
    "[]",
    "{}",
    '{"count":560}',
    '{"result":true}',
    '{"result":[402]}',
    '{"result":{"id":"560"}}',
    '{"result":"40',
    '{"result":"200","message":"OK"}',
    '{"result":"200","code":"560"}',
    '{"code":560,"code":200}',
    '{"code":200,"code":560}',
    '{"error":200}',
    '{"response":{"result":"200"}}',
    '{"code":560,"smsid":"a1"}',
    '{"code":560,"retry_after":30}',
    '{"code":5.6e2}',
    '{"code":560.0}',
    '{"message":"560"}',
    b"\xff\xfe2\x000\x000\x00",
    "٢٠٠",
    "٥٦٠",
    "<![<![200",
    "<a " * 2000 + "200",
    "[" * 4000,
    " " * 9000 + "<b>402</b>",
    "200" + "\x00",
]


@pytest.mark.parametrize("body", UNREADABLE, ids=describe_row)
@pytest.mark.parametrize("status", [200, 201, 302, 404, 500, 502, 503, 504])
def test_any_other_body_is_unknown_and_no_code_is_made_up(status: int, body: bytes | str) -> None:
    if status == 503 and not body:
        assert outcome(status, body) == (RateLimitedError, "503")
        return
    assert outcome(status, body) == (UNKNOWN, None)


STATUSES = [200, 201, 204, 301, 302, 400, 401, 402, 403, 404, 414, 500, 502, 503, 504, 550, 555, 557, 560, 599]


@pytest.mark.parametrize("status", STATUSES)
def test_a_bare_200_is_an_acceptance_in_a_2xx_only(status: int) -> None:
    expected: tuple[type[object], str] = (UNKNOWN, "200")
    if status < 300:
        expected = (Receipt, "200")
    elif status in {401, 555, 557}:
        expected = (REFUSALS[str(status)], str(status))
    assert outcome(status, "200") == expected


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_a_bare_refusal_counts_under_any_status(status: int, code: str) -> None:
    is_401 = status == 401 and code not in {"555", "557"}
    assert outcome(status, code) == ((AuthenticationFailedError, "401") if is_401 else (REFUSALS[code], code))


@pytest.mark.parametrize("body", ["", "<h1>not for you</h1>", "<p>since 1999</p>", "x" * 9000], ids=describe_row)
@pytest.mark.parametrize("status", STATUSES)
def test_a_body_without_a_code_leaves_the_decision_to_the_status(status: int, body: str) -> None:
    refusal = REFUSALS.get(str(status))
    if refusal is None or (status == 503 and body):
        assert outcome(status, body) == (UNKNOWN, None)
    else:
        assert outcome(status, body) == (refusal, str(status))


@pytest.mark.parametrize("body", ["200 OK", "ERROR:570", "ERROR:503", "ERROR:560 at 12:00", '{"result":"200","id":1}'])
@pytest.mark.parametrize("status", [402, 414, 503, 550, 560])
def test_a_body_that_contradicts_a_refusing_status_is_unknown(status: int, body: str) -> None:
    assert outcome(status, body) == (UNKNOWN, None)


@pytest.mark.parametrize("status", [200, 302, 500, 503, 550])
@pytest.mark.parametrize("page", ["<h1>Error 401</h1><p>nginx/1.27</p>", "401 Unauthorized (2026)", "ERROR:401 id=7"])
def test_a_page_that_begins_with_401_is_unknown_and_counts_for_the_lockout(status: int, page: str) -> None:
    kind, code = outcome(status, page)
    assert (kind, code) == (SuspectedAuthenticationFailureError, None)
    assert issubclass(kind, OutcomeUnknownError)
    assert issubclass(kind, AuthenticationFailedError)
    assert not SuspectedAuthenticationFailureError.outcome_known


@pytest.mark.parametrize("body", ["", "<h1>Unauthorized</h1>", "200", "200 OK", "550", "999", "ERROR:402", "503"])
def test_http_401_counts_for_the_lockout(body: str) -> None:
    assert outcome(401, body) == (AuthenticationFailedError, "401")


@pytest.mark.parametrize("body", ["555", "ERROR:555", "<h1>Error</h1><p>code 555</p>"])
def test_a_blocked_address_goes_before_http_401(body: str) -> None:
    assert outcome(401, body) == (AddressBlockedError, "555")


@pytest.mark.parametrize("status", [200, 402, 503, 550])
@pytest.mark.parametrize("body", ["", "5", "50", "ERROR:560", '{"code":560,"message":"NG"}', "<p>thank you"])
def test_an_undelimited_answer_without_a_bare_code_is_unknown(status: int, body: str) -> None:
    assert outcome(status, body, delimited=False) == (OutcomeUnknownError, None)


@pytest.mark.parametrize("code", ["401", "555", "557"])
def test_an_undelimited_answer_can_stop_the_sending(code: str) -> None:
    expected = (REFUSALS[code], code)
    assert outcome(int(code), "", delimited=False) == expected
    assert outcome(200, f"ERROR:{code}", delimited=False) == expected
    assert outcome(200, code, delimited=False) == expected


def test_an_undelimited_bare_code_counts() -> None:
    assert outcome(200, "200", delimited=False) == (Receipt, "200")
    assert outcome(200, "402", delimited=False) == (QuotaExceededError, "402")


@pytest.mark.parametrize("unit", ["<a ", "<a/ ", "<a b='", "<!--", "<![", "</", "&#", '{"a":', "[", "<script>", "0 "])
def test_a_broken_body_of_any_kind_has_no_code(unit: str) -> None:
    for length in (200, 9000):
        assert find_code((unit * 9000).encode()[:length]) is None


FRAGMENTS = st.sampled_from(
    [
        "200", "560", "401", "503", "9", "０", "ERROR", "code", "result", "OK", " ", "\n", ":", "=", "-", ",", '"',
        "{", "}", "[", "]", "<b>", "</b>", "<br/>", "<head>", "</head>", "<body>", "<title>", "</title>", "<!--",
        "-->", "<script>", "</script>", "<![CDATA[", "]]>", "&nbsp;", "&#50;", "\ufeff", "\u200b", "<p title=200>",
    ]
)  # fmt: skip
ANY_STATUS = st.sampled_from(STATUSES)


@given(status=ANY_STATUS, body=st.lists(FRAGMENTS, max_size=8).map("".join), delimited=st.booleans())
def test_any_answer_is_accepted_refused_by_a_code_it_holds_or_unknown(status: int, body: str, delimited: bool) -> None:
    kind, code = outcome(status, body, delimited=delimited)
    if kind is Receipt:
        assert code == "200"
        assert 200 <= status < 300
    elif kind in REFUSALS.values():
        assert issubclass(kind, ProviderError)
        assert kind.outcome_known
        assert REFUSALS[code or ""] is kind
        assert code == str(status) or (code or "") in body
    else:
        assert issubclass(kind, OutcomeUnknownError)


# Each fragment with what a reader sees of it. A tag keeps two texts apart.
SEEN = {
    "200": "200", "2": "2", "00": "00", "&#50;": "2", "０": "0", "560": "560", "OK": "OK", ".": ".", " ": " ",
    "\n": " ", "&nbsp;": " ", "\ufeff": "", "<b>": " ", "</b>": " ", "<br/>": " ", "<body class='560'>": " ",
    "<!-- 560 -->": " ", "<script>560</script>": " ", "<title>560</title>": " ", "<style>b{top:9px}</style>": " ",
}  # fmt: skip


@given(status=ANY_STATUS, fragments=st.lists(st.sampled_from(list(SEEN)), max_size=7))
def test_any_page_is_accepted_iff_a_reader_sees_only_200_in_a_2xx(status: int, fragments: list[str]) -> None:
    seen = "".join(SEEN[fragment] for fragment in fragments).strip()
    kind, _ = outcome(status, "".join(fragments))
    assert (kind is Receipt) is (seen == "200" and 200 <= status < 300)


@given(text=st.text(st.characters(exclude_categories=["N"]), max_size=20))
def test_a_text_without_a_number_says_nothing(text: str) -> None:
    assert find_code(text.encode("utf-8", "replace")) is None
    assert find_code(json.dumps({"code": text}).encode()) is None


def test_refused_means_that_nothing_was_accepted() -> None:
    assert outcome(200, "ERROR:560") == (RefusedError, "560")
    assert outcome(200, '{"code":560}') == (RefusedError, "560")
    assert all(refusal.outcome_known for refusal in REFUSALS.values())

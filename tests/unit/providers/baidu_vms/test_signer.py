"""Signatures equal those of the provider's SDK, for the published vectors and for any other request."""

from __future__ import annotations

import json
from calendar import timegm
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from baidubce import utils
from baidubce.auth import bce_v1_signer
from baidubce.auth.bce_credentials import BceCredentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from switchboard.domain.errors import ConfigurationError
from switchboard.providers.baidu_vms.signer import (
    Credentials,
    build_query,
    build_signed_headers,
    encode,
    format_time,
    sign,
)
from tests.depth import at_depth
from tests.ids import describe_row

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "specs" / "baidu_vms_signatures.json").read_text(encoding="utf-8")
)
KEY = Credentials(access_key_id="AKEXAMPLE", secret_access_key="canary-secret")
TEMPORARY = Credentials(access_key_id="AKEXAMPLE", secret_access_key="canary-secret", session_token="canary/session=")
AT = datetime(2026, 11, 22, 3, 4, 5, 678000, tzinfo=UTC)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_documented_vectors_are_met(vector: dict[str, Any]) -> None:
    headers = build_signed_headers(
        credentials=Credentials(access_key_id=vector["ak"], secret_access_key=vector["sk"]),
        method=vector["method"],
        host=vector["headers"]["Host"],
        path=vector["path"],
        parameters=vector["params"],
        at=datetime.fromisoformat(vector["timestamp"]),
        lifetime_s=vector["expiration"],
    )
    assert headers == {"Authorization": vector["authorization"], "x-bce-date": vector["timestamp"]}


HOSTS = st.sampled_from(["vms.baidubce.com", "127.0.0.1", "[::1]", "localhost"])
PORTS = st.none() | st.integers(1, 65535)
HEADER_NAMES = st.text(st.sampled_from("aBcXyZ019-_.!"), min_size=1, max_size=10)
HEADER_VALUES = st.text(st.sampled_from(" \t\r\n\x0b\x0cabcXYZ0189-._~/:;=+%&,é测試\u3000"), max_size=20)
ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" +/~%&=?测"), max_size=10)
SECONDS = st.integers(1, timegm((9999, 12, 31, 0, 0, 0)))
TIMES = st.builds(
    lambda second, part: datetime.fromtimestamp(second, UTC) + part,
    SECONDS,
    st.timedeltas(timedelta(0), timedelta(microseconds=999_999)),
)
KEY_TEXTS = st.text(st.sampled_from("ABCxyz0189+=_-.~"), min_size=1, max_size=40)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")
@settings(max_examples=at_depth(usual=500, proof=5_000), deadline=None)
@given(
    key=st.tuples(KEY_TEXTS, KEY_TEXTS),
    method=st.sampled_from(["POST", "GET", "PUT", "DELETE"]),
    host=HOSTS,
    port=PORTS,
    path=ENCODABLE.map("/{}".format),
    parameters=st.dictionaries(ENCODABLE, ENCODABLE, max_size=3),
    extra=st.dictionaries(HEADER_NAMES, HEADER_VALUES, max_size=3),
    at=TIMES,
    lifetime_s=st.integers(1, 10**6),
)
@example(
    key=("a", "b"),
    method="POST",
    host="127.0.0.1",
    port=8080,
    path="/v1/call",
    parameters={"clientToken": "a b+c", "a": "", "a-b": "/", "A": "~"},
    extra={"x-bce-z": " 1 ", "X-Bce-A": "", "b": "1", "b-c": "2"},
    at=AT,
    lifetime_s=1800,
)
def test_any_signature_equals_that_of_the_providers_sdk(
    *,
    key: tuple[str, str],
    method: str,
    host: str,
    port: int | None,
    path: str,
    parameters: dict[str, str],
    extra: dict[str, str],
    at: datetime,
    lifetime_s: int,
) -> None:
    """Compare with the SDK, which expects encoded paths and sorted headers, and signs an authorization parameter."""
    all_headers = {name.lower(): value for name, value in extra.items()}
    all_headers |= {"host": host if port is None else f"{host}:{port}", "x-bce-date": format_time(at)}
    parameters = {name: value for name, value in parameters.items() if name.lower() != "authorization"}
    signed = sorted(name for name, value in all_headers.items() if value.encode().strip())
    expected = bce_v1_signer.sign(
        BceCredentials(*key),
        method.encode(),
        utils.normalize_string(path, False),
        {name.encode(): value.encode() for name, value in all_headers.items()},
        {name.encode(): value.encode() for name, value in parameters.items()},
        timestamp=timegm(at.utctimetuple()),
        expiration_in_seconds=lifetime_s,
        headers_to_sign=[name.encode() for name in signed],
    )
    signature = sign(
        credentials=Credentials(access_key_id=key[0], secret_access_key=key[1]),
        method=method,
        path=path,
        parameters=parameters,
        headers={name.upper(): value for name, value in all_headers.items()},
        at=at,
        lifetime_s=lifetime_s,
    )
    assert signature == expected.decode()


def sign_request(credentials: Credentials = KEY, **changed: Any) -> dict[str, str]:
    request: dict[str, Any] = {
        "method": "POST",
        "host": "vms.baidubce.com",
        "path": "/v1/call",
        "parameters": {"clientToken": "a1"},
        "at": AT,
        "lifetime_s": 300,
    }
    return build_signed_headers(credentials=credentials, **(request | changed))


def test_only_host_and_date_are_signed() -> None:
    headers = sign_request()
    assert set(headers) == {"Authorization", "x-bce-date"}
    assert headers["Authorization"].split("/")[:5] == [
        "bce-auth-v1",
        "AKEXAMPLE",
        "2026-11-22T03:04:05Z",
        "300",
        "host;x-bce-date",
    ]


def test_a_session_token_is_sent_and_signed() -> None:
    headers = sign_request(TEMPORARY)
    assert headers["x-bce-security-token"] == "canary/session="
    assert "/host;x-bce-date;x-bce-security-token/" in headers["Authorization"]
    other = Credentials(access_key_id="AKEXAMPLE", secret_access_key="canary-secret", session_token="other")
    assert sign_request(other)["Authorization"] != headers["Authorization"]


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"host": "vms.baidubce.com:8443"},
        {"path": "/v1/calls"},
        {"parameters": {"clientToken": "a2"}},
        {"at": AT.replace(second=6)},
        {"lifetime_s": 301},
    ],
    ids=["method", "host", "path", "parameter", "time", "lifetime"],
)
def test_a_changed_request_has_another_signature(changed: dict[str, Any]) -> None:
    assert sign_request(**changed)["Authorization"].split("/")[-1] != sign_request()["Authorization"].split("/")[-1]


def test_the_documents_example_is_encoded_as_documented() -> None:
    assert encode("this is an example for 测试") == "this%20is%20an%20example%20for%20%E6%B5%8B%E8%AF%95"


@given(st.dictionaries(ENCODABLE, ENCODABLE, max_size=5))
def test_any_query_parses_back_and_holds_no_plus(parameters: dict[str, str]) -> None:
    query = build_query(parameters)
    assert "+" not in query
    expected = {name: value for name, value in parameters.items() if name.lower() != "authorization"}
    assert dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))) == expected


def test_an_authorization_parameter_is_not_signed() -> None:
    assert build_query({"Authorization": "bce-auth-v1", "a": "1"}) == "a=1"


def test_a_signature_without_headers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one header"):
        sign(credentials=KEY, method="POST", path="/", parameters={}, headers={"host": " "}, at=AT, lifetime_s=1)


@pytest.mark.parametrize(
    ("key_id", "secret", "session"),
    [
        ("", "canary", None),
        ("a/b", "canary", None),
        ("a b", "canary", None),
        ("ключ", "canary", None),
        ("a\r\nx-bce-acl: canary", "canary", None),
        ("a", "", None),
        ("a", "canary\n", None),
        ("a", "canary", ""),
        ("a", "canary", "canary\r\nx: y"),
    ],
    ids=describe_row,
)
def test_an_unusable_key_is_a_configuration_error(key_id: str, secret: str, session: str | None) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        Credentials(access_key_id=key_id, secret_access_key=secret, session_token=session)
    assert "canary" not in str(wrong.value)


def test_the_repr_of_credentials_hides_them() -> None:
    assert "canary" not in repr(TEMPORARY)
    assert "AKEXAMPLE" not in repr(TEMPORARY)

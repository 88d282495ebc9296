"""Only a live token of this very webhook opens it, and only from its provider's addresses."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import ConfigurationError, StoreUnavailableError, WebhookForbiddenError
from switchboard.edge.http import InboundRequest
from switchboard.edge.webhook_endpoint import SourceRanges, WebhookAuthentication
from tests.stored_secret import StoredSecret
from tests.strategies import any_text

TOKENS = ("first-live-token", "second-live-token", "三つ目")
MAX_AGE_S, MAX_STALE_S, REFRESH_S = 60.0, 300.0, 5.0


def request_for(
    token: str, *, source_ip: object = "192.0.2.10", headers: dict[str, str] | None = None
) -> InboundRequest:
    return InboundRequest.from_event(
        {
            "pathParameters": {"token": token},
            "headers": headers,
            "requestContext": {"identity": {"sourceIp": source_ip}},
        }
    )


class Container:
    """One container of a webhook, with a new cache of the secret."""

    def __init__(self, secret: StoredSecret, source_ranges: Sequence[str] = ()) -> None:
        cached = secret.cached(max_age_s=MAX_AGE_S, max_stale_s=MAX_STALE_S, refresh_s=REFRESH_S)
        self._authentication = WebhookAuthentication(secret=cached, source_ranges=source_ranges)

    def answer(self, request: InboundRequest | str) -> int:
        """Return the status of the answer: 200 stands for a callback that goes on."""
        request = request if isinstance(request, InboundRequest) else request_for(request)
        try:
            self._authentication.check(request)
        except WebhookForbiddenError:
            return 403
        except StoreUnavailableError:
            return 503
        except ConfigurationError:
            return 500
        return 200


def opens(token: str, tokens: Sequence[object] = TOKENS) -> bool:
    return Container(StoredSecret.of_tokens(tokens)).answer(token) == 200


# Tokens


@pytest.mark.parametrize("token", TOKENS)
def test_each_live_token_opens(token: str) -> None:
    assert opens(token)


@given(any_text())
def test_any_other_token_opens_nothing(token: str) -> None:
    assert opens(token) == (token in TOKENS)


@pytest.mark.parametrize("token", TOKENS)
def test_a_part_or_an_extension_of_a_token_opens_nothing(token: str) -> None:
    near = {token[:length] for length in range(len(token))} | {token[length:] for length in range(1, len(token) + 1)}
    near |= {token + "x", "x" + token, token + "\x00", token + " ", token.upper(), token.encode().hex()}

    assert not any(opens(candidate) for candidate in near - {token})


def test_two_live_tokens_together_open_nothing() -> None:
    assert not opens("".join(TOKENS))
    assert not opens(",".join(TOKENS))
    assert not opens(str(list(TOKENS)))


@pytest.mark.parametrize(
    ("token", "comparisons"),
    [
        pytest.param("first", 3, id="the first one"),
        pytest.param("second", 3, id="the second one"),
        pytest.param("third", 3, id="the third one"),
        pytest.param("none", 6, id="none of them, before and after the secret is read again"),
    ],
)
def test_every_live_token_is_compared_even_after_a_match(
    token: str, comparisons: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def counted(given: bytes, live: bytes) -> bool:
        compared.append(live)
        return compare(given, live)

    monkeypatch.setattr("switchboard.edge.webhook_endpoint.hmac.compare_digest", counted)

    opens(token, ["first", "second", "third"])

    assert compared == [b"first", b"second", b"third"] * (comparisons // 3)


@pytest.mark.parametrize(
    "tokens",
    [
        pytest.param([], id="empty list"),
        pytest.param(None, id="null"),
        pytest.param("first", id="text"),
        pytest.param({"first": 1}, id="object"),
        pytest.param(5, id="number"),
        pytest.param([""], id="empty token"),
        pytest.param(["first", ""], id="token and empty token"),
        pytest.param(["first", None], id="token and null"),
        pytest.param(["first", 5], id="token and number"),
        pytest.param([["first"]], id="list in a list"),
    ],
)
@pytest.mark.parametrize("token", ["", "f", "first", "5", "None"])
def test_a_secret_without_a_list_of_tokens_opens_nothing(tokens: Any, token: str) -> None:
    assert Container(StoredSecret({"tokens": tokens})).answer(token) == 500


# Rotation and revocation


def test_a_new_token_opens_at_once_although_the_old_list_is_cached() -> None:
    secret = StoredSecret.of_tokens(["old"])
    container = Container(secret)
    assert container.answer("old") == 200

    secret.value = {"tokens": ["old", "new"]}
    secret.now += REFRESH_S

    assert container.answer("new") == 200


def test_the_first_token_opens_at_once_although_an_empty_list_is_cached() -> None:
    secret = StoredSecret.of_tokens([])
    container = Container(secret)
    assert container.answer("new") == 500

    secret.value = {"tokens": ["new"]}
    secret.now += REFRESH_S

    assert container.answer("new") == 200


def test_a_removed_token_opens_for_a_minute_at_most() -> None:
    secret = StoredSecret.of_tokens(["leaked", "new"])
    container = Container(secret)
    assert container.answer("leaked") == 200

    secret.value = {"tokens": ["new"]}
    secret.now += MAX_AGE_S
    within_a_minute = container.answer("leaked")
    secret.now += 0.1

    assert (within_a_minute, container.answer("leaked"), container.answer("new")) == (200, 403, 200)


def test_a_refusal_of_a_stranger_revokes_a_removed_token_early() -> None:
    secret = StoredSecret.of_tokens(["leaked"])
    container = Container(secret)
    container.answer("leaked")

    secret.value = {"tokens": ["new"]}
    secret.now += REFRESH_S

    assert [container.answer(token) for token in ("stranger", "leaked")] == [403, 403]


def test_a_flood_of_wrong_tokens_reads_the_secret_once_in_five_seconds() -> None:
    secret = StoredSecret.of_tokens(["live"])
    container = Container(secret)

    for tenth in range(100):
        secret.now = 1000 + tenth / 10
        assert container.answer("wrong") == 403

    assert secret.reads == 2


# Secrets Manager does not answer


def test_a_known_token_goes_on_opening_for_five_minutes_without_an_answer() -> None:
    secret = StoredSecret.of_tokens(["live"])
    container = Container(secret)
    container.answer("live")
    secret.is_down = True

    secret.now += MAX_STALE_S
    within_five_minutes = container.answer("live")
    secret.now += 0.1

    assert (within_five_minutes, container.answer("live")) == (200, 503)


def test_an_unknown_token_is_503_while_a_refusal_cannot_be_verified() -> None:
    secret = StoredSecret.of_tokens(["live"])
    container = Container(secret)
    container.answer("live")
    secret.is_down = True
    secret.now += REFRESH_S

    answers = []
    for _ in range(20):
        answers.append(container.answer("unknown"))
        secret.now += 0.2
    secret.is_down, secret.now = False, secret.now + REFRESH_S

    assert set(answers) == {503}
    assert secret.reads == 2
    assert container.answer("unknown") == 403


def test_no_token_opens_a_new_container_without_an_answer() -> None:
    secret = StoredSecret.of_tokens(["live"])
    secret.is_down = True

    assert [Container(secret).answer(token) for token in ("live", "")] == [503, 503]


def test_a_secret_that_became_unreadable_opens_nothing_until_it_is_mended() -> None:
    secret = StoredSecret.of_tokens(["live"])
    container = Container(secret)
    container.answer("live")

    secret.value = "{no JSON"
    secret.now += MAX_AGE_S + 1
    broken = [container.answer("live") for _ in range(3)]
    secret.value = {"tokens": ["live"]}

    assert (broken, container.answer("live")) == ([500] * 3, 200)


# Source addresses

RANGES = ("192.0.2.0/24", "198.51.100.7", "2001:db8:1::/48", "::ffff:203.0.113.0/120")


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        pytest.param("192.0.2.0", True, id="first of a range"),
        pytest.param("192.0.2.255", True, id="last of a range"),
        pytest.param("192.0.3.0", False, id="after a range"),
        pytest.param("192.0.1.255", False, id="before a range"),
        pytest.param("198.51.100.7", True, id="single address"),
        pytest.param("198.51.100.8", False, id="beside a single address"),
        pytest.param("2001:db8:1::1", True, id="IPv6"),
        pytest.param("2001:DB8:0001:0:0:0:0:1", True, id="IPv6 in another form"),
        pytest.param("2001:db8:2::1", False, id="IPv6 of another range"),
        pytest.param("::ffff:192.0.2.9", True, id="IPv4 mapped into IPv6"),
        pytest.param("::ffff:c000:209", True, id="IPv4 mapped into IPv6 in hexadecimal"),
        pytest.param("::ffff:192.0.3.9", False, id="another IPv4 mapped into IPv6"),
        pytest.param("203.0.113.9", True, id="IPv4 in a mapped range"),
        pytest.param("::ffff:203.0.113.9", True, id="mapped IPv4 in a mapped range"),
        pytest.param("203.0.114.9", False, id="IPv4 beside a mapped range"),
        pytest.param("::192.0.2.9", False, id="IPv4-compatible IPv6, which stands for no IPv4 address"),
        pytest.param("192.0.2.9:443", False, id="with a port"),
        pytest.param("192.0.2.009", False, id="with leading zeros"),
        pytest.param(" 192.0.2.9", False, id="with a blank"),
        pytest.param("192.0.2.9, 203.0.113.9", False, id="two addresses"),
        pytest.param("192.0.2.0/24", False, id="a range"),
        pytest.param("3221225993", False, id="decimal"),
        pytest.param("localhost", False, id="a name"),
        pytest.param("", False, id="empty"),
        pytest.param(None, False, id="null"),
        pytest.param(3221225993, False, id="number"),
        pytest.param(["192.0.2.9"], False, id="list"),
    ],
)
def test_only_an_address_in_a_range_is_allowed(address: object, *, is_allowed: bool) -> None:
    container = Container(StoredSecret.of_tokens(["live"]), RANGES)

    assert container.answer(request_for("live", source_ip=address)) == (200 if is_allowed else 403)
    assert container.answer(request_for("wrong", source_ip=address)) == 403


@pytest.mark.parametrize("address", ["192.0.2.9", "2001:db8::1", "odd", "", None])
def test_without_a_range_every_address_is_allowed(address: str | None) -> None:
    assert Container(StoredSecret.of_tokens(["live"])).answer(request_for("live", source_ip=address)) == 200


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "Via", "Host"]
)
def test_a_header_never_names_the_source_address(header: str) -> None:
    container = Container(StoredSecret.of_tokens(["live"]), RANGES)
    headers = {header: "for=192.0.2.9" if header == "Forwarded" else "192.0.2.9"}

    assert container.answer(request_for("live", source_ip="203.0.114.9", headers=headers)) == 403
    assert container.answer(request_for("live", source_ip=None, headers=headers)) == 403


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        pytest.param(lambda: request_for("wrong"), "token", id="wrong token"),
        pytest.param(lambda: request_for("live", source_ip="203.0.114.9"), "source_address", id="wrong address"),
        pytest.param(lambda: request_for("wrong", source_ip="203.0.114.9"), "source_address", id="both wrong"),
    ],
)
def test_the_log_tells_the_reason_and_the_sender_learns_none(read: Callable[[], InboundRequest], reason: str) -> None:
    cached = StoredSecret.of_tokens(["live"]).cached()

    with pytest.raises(WebhookForbiddenError) as raised:
        WebhookAuthentication(secret=cached, source_ranges=RANGES).check(read())

    assert raised.value.reason == reason
    assert str(raised.value) == str(WebhookForbiddenError(reason="any"))


def test_a_wrong_address_reads_no_secret() -> None:
    secret = StoredSecret.of_tokens(["live"])

    Container(secret, RANGES).answer(request_for("live", source_ip="203.0.114.9"))

    assert secret.reads == 0


@pytest.mark.parametrize(
    "text",
    ["192.0.2.9/24", "192.0.2.0/33", "192.0.2", "provider.example", "192.0.2.0-192.0.2.9", "*", "2001:db8::/129", "1"],
)
def test_an_unreadable_range_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="source ranges"):
        SourceRanges(["192.0.2.0/24", text])


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_and_its_ipv6_form_are_one_address(address: IPv4Address) -> None:
    sources = SourceRanges([f"{address}"])

    assert sources.include(f"::ffff:{address}")
    assert not sources.include(f"::ffff:{IPv4Address(int(address) ^ 1)}")

"""Each webhook has tokens and addresses of its own, and a refused callback changes nothing anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import pytest

from switchboard.domain.errors import ConfigurationError
from tests.deployment import TOKEN, WEBHOOK_SECRETS, Deployment, deployed
from tests.events import Event, load_event, with_headers

TOKENS: Final = {function: f"token-of-{function}" for function in WEBHOOK_SECRETS}
SAMPLES: Final[Mapping[str, Mapping[str, str]]] = {
    "mediasms_delivery_webhook": {"GET": "get_query", "POST": "post_form_utf8"},
    "mediasms_ivr_webhook": {"GET": "get_query", "POST": "post_form"},
    "biztel_call_action_webhook": {"GET": "get_query", "POST": "post_form"},
    "baidu_vms_webhook": {"GET": "get_query", "POST": "post_form"},
}
"""A readable callback of each webhook, by function and method."""
PARAMETERS: Final = {
    "mediasms_delivery_webhook": "MediaSmsSourceRanges",
    "mediasms_ivr_webhook": "MediaSmsSourceRanges",
    "biztel_call_action_webhook": "BiztelSourceRanges",
    "baidu_vms_webhook": "BaiduVmsSourceRanges",
}
PROVIDERS: Final = {
    "mediasms_delivery_webhook": "mediasms",
    "mediasms_ivr_webhook": "mediasms",
    "biztel_call_action_webhook": "biztel",
    "baidu_vms_webhook": "baidu_vms",
}
SAMPLE_ADDRESS: Final = "192.0.2.10"
"""The source address of the sample events."""
BUCKETS: Final = ("QuarantineBucket", "JobsBucket", "RecordingsBucket")


def callback(function: str, method: str, token: str) -> Event:
    event = load_event(function, SAMPLES[function][method])
    assert event["httpMethod"] == method
    path = event["resource"].replace("{token}", token)
    return event | {"pathParameters": {"token": token}, "path": path}


def from_address(event: Event, address: object) -> Event:
    context = event["requestContext"]
    return event | {"requestContext": {**context, "identity": {**context["identity"], "sourceIp": address}}}


def stored(stack: Deployment) -> object:
    objects = [stack.objects(bucket=bucket) for bucket in BUCKETS]
    return stack.rows(), stack.rows("LimitsTable"), objects, stack.queued(), stack.queued("RecordingQueue")


def refusals(stack: Deployment) -> list[str]:
    return [dict(on)["provider"] for name, on in stack.metrics() if name == "CallbacksRefused"]


@pytest.fixture
def separate(stack: Deployment) -> Deployment:
    """Build a stack in which every webhook has another token."""
    for function, secret in WEBHOOK_SECRETS.items():
        stack.put_secret(secret, {"tokens": [TOKENS[function]]})
    return stack


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("owner", SAMPLES)
@pytest.mark.parametrize("function", SAMPLES)
def test_a_token_opens_its_own_webhook_and_no_other(
    separate: Deployment, function: str, owner: str, method: str
) -> None:
    before = stored(separate)

    answer = separate.http(function, callback(function, method, TOKENS[owner]))

    if function == owner:
        assert answer.status == 200
        assert stored(separate) != before
        assert refusals(separate) == []
    else:
        assert (answer.status, json.loads(answer.body)["code"]) == (403, "forbidden")
        assert stored(separate) == before
        assert refusals(separate) == [PROVIDERS[function]]


@pytest.mark.parametrize("function", SAMPLES)
def test_a_webhook_without_tokens_refuses_even_the_tokens_of_the_others(separate: Deployment, function: str) -> None:
    separate.put_secret(WEBHOOK_SECRETS[function], {"tokens": []})
    before = stored(separate)

    answers = [separate.http(function, callback(function, "POST", token)).status for token in [*TOKENS.values(), ""]]

    assert answers == [500] * 5
    assert stored(separate) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("function", SAMPLES)
def test_a_callback_from_another_address_is_refused_like_a_wrong_token(function: str, method: str) -> None:
    with deployed(**{PARAMETERS[function]: "198.51.100.0/24,2001:db8::/32"}) as stack:
        before = stored(stack)
        other_address = stack.http(function, callback(function, method, TOKEN))
        allowed = from_address(callback(function, method, "wrong"), "198.51.100.7")
        wrong_token = stack.http(function, allowed)
        unchanged = stored(stack)

        right = stack.http(function, from_address(callback(function, method, TOKEN), "::ffff:198.51.100.7"))

    assert other_address.status == 403
    assert other_address == wrong_token
    assert unchanged == before
    assert right.status == 200
    assert [line["reason"] for line in stack.logged() if line.get("message") == "refused"] == [
        "source_address",
        "token",
    ]
    assert refusals(stack) == [PROVIDERS[function]] * 2


@pytest.mark.parametrize("address", [None, "", "odd", 3221225994, "192.0.2.11"])
def test_an_address_that_is_not_known_to_be_the_providers_is_refused(address: object) -> None:
    with deployed(MediaSmsSourceRanges=SAMPLE_ADDRESS) as stack:
        event = with_headers(
            callback("mediasms_delivery_webhook", "POST", TOKEN),
            {"X-Forwarded-For": SAMPLE_ADDRESS, "Forwarded": f"for={SAMPLE_ADDRESS}"},
        )

        assert stack.http("mediasms_delivery_webhook", event).status == 200
        assert stack.http("mediasms_delivery_webhook", from_address(event, address)).status == 403


@pytest.mark.parametrize("function", SAMPLES)
def test_the_ranges_of_one_provider_do_not_concern_the_others(function: str) -> None:
    others = {parameter: "198.51.100.0/24" for parameter in PARAMETERS.values() if parameter != PARAMETERS[function]}
    with deployed(**others) as stack:
        assert stack.http(function, callback(function, "POST", TOKEN)).status == 200


@pytest.mark.parametrize("function", SAMPLES)
def test_an_unreadable_range_lets_no_callback_in(function: str) -> None:
    with deployed(**{PARAMETERS[function]: "192.0.2.0/24,192.0.2.10/8"}) as stack:
        before = stored(stack)
        # The init phase fails, and API Gateway answers 500.
        with pytest.raises(ConfigurationError, match="source ranges"):
            stack.http(function, callback(function, "POST", TOKEN))

        assert stored(stack) == before


@pytest.mark.parametrize("function", SAMPLES)
def test_a_refusal_that_cannot_be_verified_may_be_repeated(stack: Deployment, function: str) -> None:
    stack.lose_secret(WEBHOOK_SECRETS[function])

    answer = stack.http(function, callback(function, "POST", "unknown"))

    assert (answer.status, json.loads(answer.body)["code"]) == (503, "service_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert refusals(stack) == []

"""API keys through the handlers: a key does what its scopes say and nothing more, and belongs to a client. (I30)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pytest
import yaml
from botocore.client import BaseClient

from switchboard.domain.api_keys import ApiKey, ClientLimits, Scope
from switchboard.domain.errors import ConfigurationError
from switchboard.storage import aws
from switchboard.storage.api_keys import DynamoDbKeyStore
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import Event, load_event, of_client, with_headers
from tests.translated_template import ROOT, operations

Route = tuple[str, str]

ROUTES: Final[dict[Route, tuple[str, str, Scope | None]]] = {
    ("/sms", "post"): ("send_sms", "broken_json", Scope.SMS),
    ("/sms/batch", "post"): ("send_sms_batch", "broken_json", Scope.SMS),
    ("/sms/{smsid}", "get"): ("query", "one", Scope.SMS),
    ("/sms/{smsid}", "delete"): ("cancel_sms", "unknown_id", Scope.SMS),
    ("/suppressions", "get"): ("suppressions", "unknown_parameter", Scope.SUPPRESSIONS),
    ("/suppressions/{number}", "get"): ("suppressions", "unknown_number", Scope.SUPPRESSIONS),
    ("/suppressions/{number}", "put"): ("suppressions", "put_bad_number", Scope.SUPPRESSIONS),
    ("/suppressions/{number}", "delete"): ("suppressions", "delete_unknown_number", Scope.SUPPRESSIONS),
    ("/sms", "get"): ("query", "bad_filters", Scope.SMS),
    ("/verifications", "post"): ("start_verification", "broken_json", Scope.VERIFY),
    ("/verifications/{verification_id}/resend", "post"): ("start_verification", "resend_of_unknown_id", Scope.VERIFY),
    ("/verifications/{verification_id}/check", "post"): ("check_verification", "broken_json", Scope.VERIFY),
    ("/verifications/{verification_id}", "delete"): ("cancel_verification", "unknown_id", Scope.VERIFY),
    ("/verifications/{verification_id}", "get"): ("query", "unknown_verification", Scope.VERIFY),
    ("/verifications", "get"): ("query", "verifications", Scope.VERIFY),
    ("/calls", "post"): ("place_call", "broken_json", Scope.CALLS),
    ("/calls/{call_id}", "get"): ("query", "unknown_call", Scope.CALLS),
    ("/calls", "get"): ("query", "list_calls", Scope.CALLS),
    ("/recordings/{recording_id}", "get"): ("query_recordings", "one", Scope.RECORDINGS_READ),
    ("/recordings/{recording_id}/transcript", "get"): ("query_recordings", "transcript", Scope.RECORDINGS_READ),
    ("/recordings", "get"): ("query_recordings", "bad_filters", Scope.RECORDINGS_READ),
    ("/recordings/{recording_id}/roles", "post"): (
        "correct_recording_roles",
        "broken_json",
        Scope.RECORDINGS_CORRECT,
    ),
    ("/status", "get"): ("query_status", "unknown_parameter", Scope.STATUS),
    ("/keys/self", "get"): ("query", "own_key", None),
    ("/subscriptions", "post"): ("manage_subscriptions", "broken_json", Scope.SUBSCRIPTIONS),
    ("/subscriptions", "get"): ("manage_subscriptions", "list", Scope.SUBSCRIPTIONS),
    ("/subscriptions/{subscription_id}", "get"): ("manage_subscriptions", "unknown_subscription", Scope.SUBSCRIPTIONS),
    ("/subscriptions/{subscription_id}", "patch"): ("manage_subscriptions", "change_unknown", Scope.SUBSCRIPTIONS),
    ("/subscriptions/{subscription_id}", "delete"): ("manage_subscriptions", "delete_unknown", Scope.SUBSCRIPTIONS),
    ("/subscriptions/{subscription_id}/rotate", "post"): (
        "manage_subscriptions",
        "rotate_unknown",
        Scope.SUBSCRIPTIONS,
    ),
    ("/subscriptions/{subscription_id}/test", "post"): ("manage_subscriptions", "test_unknown", Scope.SUBSCRIPTIONS),
    ("/subscriptions/{subscription_id}/recover", "post"): (
        "manage_subscriptions",
        "recover_unknown",
        Scope.SUBSCRIPTIONS,
    ),
}
"""A sample event of every client's route, if possible one that is refused for its input, and the scope of the route."""

KEYS: Final = [frozenset({scope}) for scope in Scope] + [
    frozenset[Scope](),
    frozenset(Scope),
    *(frozenset(Scope) - {scope} for scope in Scope),
]
"""The scopes of the keys that try each route."""


def put_key(stack: Deployment, key_id: str, *scopes: Scope, client: str | None = None, **members: Any) -> None:
    """Make the item of a key, as an operator does."""
    key = ApiKey(id=key_id, client=client or key_id, name=f"key {key_id}", scopes=frozenset(scopes), **members)
    assert store_of(stack).put(key)


def store_of(stack: Deployment) -> DynamoDbKeyStore:
    return DynamoDbKeyStore(client=aws.dynamodb(), table=stack.references["LimitsTable"])


@contextmanager
def watched_calls() -> Iterator[list[tuple[str, Any]]]:
    """Record every call to AWS, by its operation and its key."""
    calls: list[tuple[str, Any]] = []
    make_call: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        calls.append((operation, parameters.get("Key")))
        return make_call(client, operation, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", call)
        yield calls


def find_breaches(stack: Deployment, route: Route, keys: Sequence[frozenset[Scope]] = KEYS) -> list[str]:
    """Try a route with keys of these scopes, each in a new container; return what the contract forbids."""
    function, case, scope = ROUTES[route]
    breaches = []
    for number, scopes in enumerate(keys):
        key_id = f"k{number}"
        put_key(stack, key_id, *scopes)
        stack.cold_start()
        with watched_calls() as calls:
            answer = stack.http(function, of_client(load_event(function, case), key_id))
        allowed = scope is None or scope in scopes
        if allowed and answer.code in {"scope_missing", "key_revoked"}:
            breaches.append(f"{sorted(scopes)}: refused")
        if not allowed and (answer.status, answer.code, answer.json.get("scope")) != (403, "scope_missing", scope):
            breaches.append(f"{sorted(scopes)}: {answer.status} {answer.code}")
        if not allowed and calls != [("GetItem", {"pk": {"S": f"CLIENT#{key_id}"}})]:
            breaches.append(f"{sorted(scopes)}: {calls}")
    requests = len(stack.simulator.requests) + len(stack.baidu_vms.requests)
    return [*breaches, f"{requests} requests"] if requests else breaches


def test_the_openapi_document_names_the_scope_of_every_route() -> None:
    document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
    documented = {route: document["paths"][f"/v1{route[0]}"][route[1]].get("x-scope") for route in ROUTES}

    assert documented == {route: scope for route, (_, _, scope) in ROUTES.items()}


def test_the_matrix_has_every_route_of_clients() -> None:
    assert set(ROUTES) == {route for route in operations() if not route[0].startswith("/webhooks/")}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[1]} {route[0]}")
def test_a_route_opens_for_keys_with_its_scope_only(stack: Deployment, route: Route) -> None:
    assert find_breaches(stack, route) == []


def test_the_matrix_finds_a_route_without_a_check(stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApiKey, "require", lambda _key, _scope: None)
    without_scopes = [frozenset[Scope]()]
    checked = [route for route, (_, _, scope) in ROUTES.items() if scope is not None]
    assert all(find_breaches(stack, route, without_scopes) for route in checked)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[1]} {route[0]}")
def test_a_revoked_key_opens_no_route(stack: Deployment, route: Route) -> None:
    function, case, _ = ROUTES[route]
    put_key(stack, "old", *Scope)
    store_of(stack).revoke("old")

    with watched_calls() as calls:
        answer = stack.http(function, of_client(load_event(function, case), "old"))

    assert (answer.status, answer.code) == (403, "key_revoked")
    assert calls == [("GetItem", {"pk": {"S": "CLIENT#old"}})]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[1]} {route[0]}")
def test_a_key_that_cannot_be_read_opens_no_route(stack: Deployment, route: Route) -> None:
    function, case, _ = ROUTES[route]
    stack.lose_table("LimitsTable")

    answer = stack.http(function, load_event(function, case))

    assert (answer.status, answer.code) == (503, "service_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_warm_container_goes_on_without_the_store_of_keys(stack: Deployment) -> None:
    assert stack.http("query", load_event("query", "list")).status == 200
    stack.lose_table("LimitsTable")
    assert stack.http("query", load_event("query", "list")).status == 200


@pytest.mark.parametrize(
    ("scopes", "opened"),
    [("sms,verify,calls", {"sms", "verifications", "calls"}), ("calls", {"calls"}), ("", set())],
    ids=["usual", "one", "none"],
)
def test_a_key_without_an_item_has_the_default_scopes(scopes: str, opened: set[str]) -> None:
    cases = {"sms": "list", "verifications": "verifications", "calls": "list_calls"}
    with deployed(DefaultScopes=scopes) as stack:
        answers = {name: stack.http("query", load_event("query", case)).status for name, case in cases.items()}

        assert {name for name, status in answers.items() if status == 200} == opened
        assert set(answers.values()) <= {200, 403}


def test_an_unknown_default_scope_ends_the_init_phase() -> None:
    with deployed(DefaultScopes="sms,everything") as stack, pytest.raises(ConfigurationError, match="DEFAULT_SCOPES"):
        stack.http("query", load_event("query", "list"))


def send(stack: Deployment, *, key: str, text: str = "はい", **members: Any) -> HttpAnswer:
    event = load_event("send_sms", "japanese_text", body={"to": "090-0000-0001", "text": text, **members})
    return stack.http("send_sms", of_client(with_headers(event, {"Idempotency-Key": "order-1"}), key))


def query(stack: Deployment, case: str, *, key: str, **changes: Any) -> HttpAnswer:
    return stack.http("query", of_client(load_event("query", case, **changes), key))


def test_two_keys_of_one_client_see_the_same_messages(stack: Deployment) -> None:
    put_key(stack, "first", *Scope, client="acme")
    put_key(stack, "second", *Scope, client="acme")
    put_key(stack, "foreign", *Scope, client="umbrella")
    sent = send(stack, key="first")
    one = {"pathParameters": {"smsid": sent.json["smsid"]}}

    replayed = send(stack, key="second")

    assert (sent.status, replayed.status) == (201, 201)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert send(stack, key="second", text="another").code == "idempotency_key_reused"
    assert len(query(stack, "list", key="second").json["items"]) == 1
    assert query(stack, "one", key="second", **one).status == 200
    assert query(stack, "one", key="foreign", **one).code == "not_found"
    assert query(stack, "list", key="foreign").json["items"] == []
    assert len(stack.simulator.requests) == 1


def test_a_replaced_key_keeps_the_messages_of_its_client(stack: Deployment) -> None:
    """A key without an item is its own client: the item of the new key names it."""
    sent = send(stack, key="old")
    put_key(stack, "new", *Scope, client="old")
    store_of(stack).revoke("old")
    stack.cold_start()

    assert query(stack, "list", key="old").code == "key_revoked"
    assert [item["smsid"] for item in query(stack, "list", key="new").json["items"]] == [sent.json["smsid"]]


def test_recordings_belong_to_the_scope_and_to_no_client(stack: Deployment) -> None:
    put_key(stack, "reader", Scope.RECORDINGS_READ, client="analysts")
    event: Event = load_event("query_recordings", "list")

    assert stack.http("query_recordings", of_client(event, "reader")).status == 200


def test_a_key_reads_what_it_may_and_what_its_client_has_used(stack: Deployment) -> None:
    put_key(stack, "k1", Scope.SMS, Scope.CALLS, client="acme", limits=ClientLimits(per_hour=20))
    send(stack, key="k1")
    stack.cold_start()

    answer = query(stack, "own_key", key="k1")

    assert answer.status == 200
    assert answer.json == {
        "client": "acme",
        "name": "key k1",
        "test": False,
        "scopes": ["calls", "sms"],
        "limits": {"per_hour": 20, "per_day": 50_000},
        "used": {"per_hour": 1, "per_day": 1},
    }


def test_without_limits_nothing_is_counted_for_a_key() -> None:
    with deployed(ClientLimitPerHour="0", ClientLimitPerDay="0") as stack:
        send(stack, key="k1")
        answer = query(stack, "own_key", key="k1")

        assert answer.json["limits"] == {"per_hour": None, "per_day": None}
        assert answer.json["used"] == {"per_hour": None, "per_day": None}

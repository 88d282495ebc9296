"""`GET /v1/sms` and `GET /v1/sms/{smsid}` through their handler: a caller sees its own messages and no other."""

from __future__ import annotations

import pytest

from tests.deployment import Deployment, HttpAnswer
from tests.events import load_event, of_client, with_query


def send(stack: Deployment, smsid: str, *, to: str = "09000000001", client: str = "ours") -> None:
    event = load_event("send_sms", "japanese_text", body={"to": to, "text": "はい", "smsid": smsid})
    assert stack.http("send_sms", of_client(event, client)).status == 201


def query_one(stack: Deployment, smsid: str, *, client: str = "ours") -> HttpAnswer:
    event = load_event("query", "one", pathParameters={"smsid": smsid})
    return stack.http("query", of_client(event, client))


def query_list(stack: Deployment, *query: tuple[str, str], client: str = "ours") -> HttpAnswer:
    return stack.http("query", of_client(with_query(load_event("query", "list"), *query), client))


def report(stack: Deployment, smsid: str, status: str) -> None:
    event = with_query(load_event("mediasms_delivery_webhook", "get_query"), ("smsid", smsid), ("status", status))
    assert stack.http("mediasms_delivery_webhook", event).status == 200


def test_a_message_shows_its_reports_with_name_and_meaning(stack: Deployment) -> None:
    send(stack, "order1")
    report(stack, "order1", "18")
    report(stack, "order1", "送信済")

    message = query_one(stack, "order1").json

    assert (message["state"], message["final"], message["billable"]) == ("delivered", True, True)
    assert {(fact["status"], fact["name"], fact["meaning"]) for fact in message["reports"]} == {
        ("18", "ドコモ圏外・OFF", "undelivered"),
        ("1", "送信済", "delivered"),
    }


def test_an_unlisted_status_is_returned_raw_and_changes_no_state(stack: Deployment) -> None:
    send(stack, "order1")
    report(stack, "order1", "98")

    message = query_one(stack, "order1").json

    assert message["state"] == "accepted"
    assert [(fact["status"], fact["meaning"]) for fact in message["reports"]] == [("98", "unlisted")]


def test_another_clients_message_is_not_found(stack: Deployment) -> None:
    send(stack, "order1", client="theirs")

    answer = query_one(stack, "order1", client="ours")

    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.json == {**query_one(stack, "nosuchorder").json}
    assert query_list(stack, client="ours").json == {"items": [], "next": None}


def test_an_id_that_only_reports_have_is_not_found(stack: Deployment) -> None:
    report(stack, "anotherorder", "1")

    assert query_one(stack, "anotherorder").status == 404


@pytest.mark.parametrize(
    "smsid",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 3000, id="3,000 letters"),
        pytest.param("あ", id="no ASCII"),
        pytest.param("a/b", id="slash"),
        pytest.param("a b", id="blank"),
        pytest.param("SMS#order1", id="key of the table"),
        pytest.param("\x00", id="NUL"),
        pytest.param("%00", id="escaped NUL"),
        pytest.param("order1\n", id="line break"),
    ],
)
def test_an_impossible_id_is_not_found(stack: Deployment, smsid: str) -> None:
    send(stack, "order1")

    assert query_one(stack, smsid).status == 404


def test_pages_hold_every_message_once_newest_first(stack: Deployment) -> None:
    sent = [f"order{number}" for number in range(5)]
    for smsid in sent:
        send(stack, smsid)

    smsids: list[str] = []
    cursor: list[tuple[str, str]] = []
    for _ in range(5):
        page = query_list(stack, ("limit", "2"), *cursor).json
        assert len(page["items"]) <= 2
        smsids += [item["smsid"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = [("cursor", page["next"])]

    assert sorted(smsids) == sent
    created = [query_one(stack, smsid).json["created_at"] for smsid in smsids]
    assert created == sorted(created, reverse=True)


def test_a_cursor_is_opaque_and_holds_no_number(stack: Deployment) -> None:
    for smsid in ("order1", "order2"):
        send(stack, smsid, to="09000000011")

    cursor = query_list(stack, ("limit", "1"), ("to", "09000000011")).json["next"]

    assert cursor
    assert all(character.isalnum() or character in "-_" for character in cursor)
    assert "9000000011" not in cursor


def test_filters_select_messages(stack: Deployment) -> None:
    send(stack, "order1", to="09000000001")
    send(stack, "order2", to="09000000002")
    report(stack, "order2", "1")

    def smsids(*query: tuple[str, str]) -> list[str]:
        return [item["smsid"] for item in query_list(stack, *query).json["items"]]

    assert smsids() == ["order2", "order1"]
    assert smsids(("to", "＋８１ 90-0000-0001")) == ["order1"]
    assert smsids(("state", "delivered")) == ["order2"]
    assert smsids(("since", "2999-01-01T00:00:00Z")) == []
    assert smsids(("until", "2001-01-01T00:00:00Z")) == []
    assert smsids(("since", "2001-01-01T00:00:00Z"), ("until", "2999-01-01T00:00:00+09:00")) == ["order2", "order1"]
    assert smsids(("since", "2999-01-01T00:00:00Z"), ("until", "2001-01-01T00:00:00Z")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("to", "110", id="to: emergency number"),
        pytest.param("to", "", id="to: empty"),
        pytest.param("state", "sent", id="state: another word"),
        pytest.param("reference", "", id="reference: empty"),
        pytest.param("reference", "x" * 65, id="reference: too long"),
        pytest.param("since", "yesterday", id="since: a word"),
        pytest.param("since", "2026-11-22", id="since: a date"),
        pytest.param("until", "2026-11-22T03:04:05", id="until: no zone"),
        pytest.param("limit", "0", id="limit: 0"),
        pytest.param("limit", "101", id="limit: 101"),
        pytest.param("limit", "-1", id="limit: negative"),
        pytest.param("limit", "1e2", id="limit: exponent"),
        pytest.param("limit", "２５", id="limit: full-width digits"),
        pytest.param("limit", "9" * 5000, id="limit: 5,000 digits"),
        pytest.param("cursor", "", id="cursor: empty"),
        pytest.param("cursor", "あ", id="cursor: no ASCII"),
        pytest.param("cursor", "====", id="cursor: padding"),
        pytest.param("cursor", "A" * 3000, id="cursor: no position"),
        pytest.param("cursor", "MjAyNi0xMS0yMlQwMzowNDowNS42NzhaI29yZGVyMQ" + "A" * 4000, id="cursor: too long"),
        pytest.param("page", "2", id="unknown parameter"),
    ],
)
def test_an_invalid_parameter_is_refused_by_name(stack: Deployment, name: str, value: str) -> None:
    answer = query_list(stack, (name, value))

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert [problem["field"] for problem in answer.json["errors"]] == [name]


def test_a_table_that_is_down_is_service_unavailable(stack: Deployment) -> None:
    stack.lose_table()

    for answer in (query_one(stack, "order1"), query_list(stack)):
        assert (answer.status, answer.code) == (503, "service_unavailable")

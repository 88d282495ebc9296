"""`GET /v1/sms` and `GET /v1/sms/{smsid}` through their handler: a caller sees its own messages, and nobody else's."""

from __future__ import annotations

import pytest

from tests.deployment import Deployment, HttpAnswer
from tests.events import load_event, of_client, with_query


def send(stack: Deployment, smsid: str, *, to: str = "09000000001", client: str = "ours") -> None:
    event = load_event("send_sms", "japanese_text", body={"to": to, "text": "はい", "smsid": smsid})
    assert stack.http("send_sms", of_client(event, client)).status == 201


def one(stack: Deployment, smsid: str, *, client: str = "ours") -> HttpAnswer:
    event = load_event("query", "one", pathParameters={"smsid": smsid})
    return stack.http("query", of_client(event, client))


def listed(stack: Deployment, *query: tuple[str, str], client: str = "ours") -> HttpAnswer:
    return stack.http("query", of_client(with_query(load_event("query", "list"), *query), client))


def report(stack: Deployment, smsid: str, status: str) -> None:
    event = with_query(load_event("mediasms_delivery_webhook", "get_query"), ("smsid", smsid), ("status", status))
    assert stack.http("mediasms_delivery_webhook", event).status == 200


def test_a_message_shows_its_reports_with_name_and_meaning(stack: Deployment) -> None:
    send(stack, "order1")
    report(stack, "order1", "18")
    report(stack, "order1", "送信済")

    shown = one(stack, "order1").json

    assert (shown["state"], shown["final"], shown["billable"]) == ("delivered", True, True)
    assert {(each["status"], each["name"], each["meaning"]) for each in shown["reports"]} == {
        ("18", "ドコモ圏外・OFF", "undelivered"),
        ("1", "送信済", "delivered"),
    }


def test_an_unlisted_status_is_shown_raw_and_changes_no_state(stack: Deployment) -> None:
    send(stack, "order1")
    report(stack, "order1", "98")

    shown = one(stack, "order1").json

    assert shown["state"] == "accepted"
    assert [(each["status"], each["meaning"]) for each in shown["reports"]] == [("98", "unlisted")]


def test_another_clients_message_does_not_exist(stack: Deployment) -> None:
    send(stack, "order1", client="theirs")

    answer = one(stack, "order1", client="ours")

    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.json == {**one(stack, "nosuchorder").json}
    assert listed(stack, client="ours").json == {"items": [], "next": None}


def test_an_id_that_only_reports_came_for_does_not_exist(stack: Deployment) -> None:
    report(stack, "somebodyelses", "1")

    assert one(stack, "somebodyelses").status == 404


@pytest.mark.parametrize("smsid", ["", "x" * 3000, "あ", "a/b", "a b", "SMS#order1", "\x00", "%00", "order1\n"])
def test_what_cannot_be_an_id_is_simply_not_found(stack: Deployment, smsid: str) -> None:
    send(stack, "order1")

    assert one(stack, smsid).status == 404


def test_pages_follow_each_other_without_gap_or_repetition(stack: Deployment) -> None:
    sent = [f"order{number}" for number in range(5)]
    for smsid in sent:
        send(stack, smsid)

    found: list[str] = []
    cursor: list[tuple[str, str]] = []
    for _ in range(5):
        page = listed(stack, ("limit", "2"), *cursor).json
        assert len(page["items"]) <= 2
        found += [each["smsid"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = [("cursor", page["next"])]

    assert sorted(found) == sent
    created = [one(stack, smsid).json["created_at"] for smsid in found]
    assert created == sorted(created, reverse=True)


def test_a_cursor_is_opaque_and_holds_no_number(stack: Deployment) -> None:
    for smsid in ("order1", "order2"):
        send(stack, smsid, to="09000000011")

    cursor = listed(stack, ("limit", "1"), ("to", "09000000011")).json["next"]

    assert cursor
    assert all(character.isalnum() or character in "-_" for character in cursor)
    assert "9000000011" not in cursor


def test_filters_narrow_the_list(stack: Deployment) -> None:
    send(stack, "order1", to="09000000001")
    send(stack, "order2", to="09000000002")
    report(stack, "order2", "1")

    def smsids(*query: tuple[str, str]) -> list[str]:
        return [each["smsid"] for each in listed(stack, *query).json["items"]]

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
        ("to", "110"),
        ("to", ""),
        ("state", "sent"),
        ("since", "yesterday"),
        ("since", "2026-11-22"),
        ("until", "2026-11-22T03:04:05"),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "1e2"),
        ("limit", "２５"),
        ("limit", "9" * 5000),
        ("cursor", ""),
        ("cursor", "あ"),
        ("cursor", "===="),
        ("cursor", "A" * 3000),
        ("cursor", "MjAyNi0xMS0yMlQwMzowNDowNS42NzhaI29yZGVyMQ" + "A" * 4000),
        ("page", "2"),
    ],
)
def test_a_parameter_that_means_nothing_is_named_and_refused(stack: Deployment, name: str, value: str) -> None:
    answer = listed(stack, (name, value))

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert [each["field"] for each in answer.json["errors"]] == [name]


def test_a_table_that_does_not_answer_is_our_fault(stack: Deployment) -> None:
    stack.lose_table()

    for answer in (one(stack, "order1"), listed(stack)):
        assert (answer.status, answer.code) == (503, "service_unavailable")

"""docs/openapi.yaml says what the code does: routes, fields, codes and headers, compared both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any, Final, cast

import pytest
import yaml
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from pydantic import BaseModel

from switchboard.domain.errors import (
    FieldProblem,
    InvalidRequestError,
    OutcomeUnknownError,
    RefusedError,
    SubmissionFailedError,
    WebhookUnreadableError,
    WrongCodeError,
)
from switchboard.domain.orders import OutcomeKind, Status
from switchboard.domain.sms.carriers import Carrier
from switchboard.domain.sms.delivery import DeliveryMeaning, ReportFact
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus, TextMeasure
from switchboard.domain.sms.requests import SmsRequest, SmsRules, compose
from switchboard.domain.sms.shift_jis import RefusalCode
from switchboard.domain.verification.verifications import VerificationLines, VerificationMode, VerificationState
from switchboard.domain.voice_calls import CallResultFact, VoiceCallState
from switchboard.edge.api.sms import SendSmsBody, list_json, parse_filter, preflight_json, sent_reply, view_json
from switchboard.edge.api.status import status_json
from switchboard.edge.api.verifications import (
    CheckVerificationBody,
    StartVerificationBody,
    started_reply,
    verification_json,
    verifications_json,
)
from switchboard.edge.api.voice_calls import PlaceCallBody, call_json
from switchboard.edge.http import Reply
from switchboard.edge.problems import PROBLEMS, UNEXPECTED, reply_to
from switchboard.ports.listing import Page
from switchboard.ports.status import QueueDepth
from switchboard.ports.usage_limits import QuotaUsage
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.usecases.operations.query_status import ProviderStatus, SystemStatus
from switchboard.usecases.query import OrderView
from tests.builders import a_call, a_message, a_verification, an_outcome
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import cases_of, load_event
from tests.fakes import START
from tests.translated_template import ROOT, source

METHODS: Final = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})
HTTP_FUNCTIONS: Final = (
    "send_sms",
    "send_sms_batch",
    "query",
    "query_status",
    "mediasms_delivery_webhook",
    "start_verification",
    "check_verification",
    "mediasms_ivr_webhook",
    "place_call",
    "baidu_vms_webhook",
    "biztel_call_action_webhook",
    "query_recordings",
    "correct_recording_roles",
)
OUR_HEADERS: Final = frozenset({"Location", "Idempotent-Replayed", "Retry-After"})


@cache
def document() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
    return parsed


def resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference points at; anything else as it is."""
    found: Any = node
    while "$ref" in found:
        reference = found["$ref"]
        found = document()
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    return cast("Mapping[str, Any]", found)


def schema(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document()["components"]["schemas"][name]
    return found


def assert_valid(value: object, against: Mapping[str, Any]) -> None:
    # The references in a schema lead into the document's components.
    OAS31Validator({**against, "components": document()["components"]}).validate(value)


def operations() -> dict[tuple[str, str], Mapping[str, Any]]:
    """Every operation by (path, method)."""
    return {
        (path, method): operation
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def routes_of_template() -> dict[tuple[str, str], bool]:
    """Every Api event of the template by (path, method), and whether it needs an API key."""
    resources = source()["Resources"]
    api = resources["Api"]["Properties"]
    found = {}
    for resource in resources.values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "Api":
                route = event["Properties"]
                path = f"/{api['StageName']}{route['Path']}"
                default = api["Auth"]["ApiKeyRequired"]
                found[path, route["Method"].lower()] = route.get("Auth", {}).get("ApiKeyRequired", default)
    return found


def alternatives(node: Mapping[str, Any], *, root: Mapping[str, Any]) -> set[str]:
    """A schema as the set of what it takes, one JSON text for each type: equal for the same rule written otherwise."""
    if "$ref" in node:
        found: Any = root
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return alternatives(found, root=root)
    if "anyOf" in node:
        return {each for branch in node["anyOf"] for each in alternatives(branch, root=root)}
    rules = {"string": ("minLength", "maxLength", "pattern", "enum"), "integer": ("minimum", "exclusiveMaximum")}
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return {
        json.dumps({"type": each} | {rule: node[rule] for rule in rules.get(each, ()) if rule in node}, sort_keys=True)
        for each in types
    }


def examples() -> Iterator[tuple[str, object, Mapping[str, Any]]]:
    """Every example in the document with its place and its schema."""
    for (path, method), operation in operations().items():
        place = f"{method} {path}"
        parameters = [*operation.get("parameters", ()), *document()["paths"][path].get("parameters", ())]
        for parameter in map(resolve, parameters):
            yield from _examples_in(parameter, f"{place} {parameter['name']}")
        contents = [("request", operation.get("requestBody", {}))]
        contents += [(status, resolve(each)) for status, each in operation["responses"].items()]
        for part, holder in contents:
            for media_type, media in holder.get("content", {}).items():
                yield from _examples_in(media, f"{place} {part} {media_type}")


def _examples_in(holder: Mapping[str, Any], place: str) -> Iterator[tuple[str, object, Mapping[str, Any]]]:
    if "example" in holder:
        yield place, holder["example"], holder["schema"]
    for name, example in holder.get("examples", {}).items():
        yield f"{place} {name}", example["value"], holder["schema"]


def problem_examples() -> dict[tuple[int, str], set[str]]:
    """The titles of the problems in the document by (status, code)."""
    found: dict[tuple[int, str], set[str]] = {}
    for response in document()["components"]["responses"].values():
        media = response["content"].get("application/problem+json", {})
        for name, example in media.get("examples", {}).items():
            value = example["value"]
            assert name == value["code"]
            found.setdefault((value["status"], value["code"]), set()).add(value["title"])
    return found


def gateway_problems() -> list[dict[str, Any]]:
    """The bodies API Gateway answers with by itself."""
    responses = source()["Resources"]["Api"]["Properties"]["GatewayResponses"]
    bodies = [each["ResponseTemplates"]["application/json"] for each in responses.values()]
    return [json.loads(body.replace("$context.error.messageString", '"a text"')) for body in bodies]


def a_view(state: SmsState = SmsState.ACCEPTED, **facts: Any) -> OrderView[Message, SmsStatus]:
    return OrderView(order=a_message(**facts), status=SmsStatus(state=state, final=False))


def full_message() -> Message:
    return a_message(
        not_after=START + timedelta(hours=1),
        measure=TextMeasure(characters=3, bytes_sjis=6, parts=1),
        outcomes={"first": an_outcome(OutcomeKind.ACCEPTED, code="200")},
        reports=(ReportFact("1", None, START), ReportFact("never heard of", None, START)),
    )


def test_the_document_is_valid_openapi() -> None:
    validate(document())


def test_its_routes_are_the_templates_and_each_asks_for_a_key_where_the_template_does() -> None:
    documented = {}
    for route, operation in operations().items():
        security = operation.get("security", document()["security"])
        assert security in ([], [{"apiKey": []}])
        documented[route] = bool(security)

    assert documented == routes_of_template()
    key = document()["components"]["securitySchemes"]["apiKey"]
    assert (key["in"], key["name"]) == ("header", "x-api-key")


@pytest.mark.parametrize(("place", "value", "against"), [pytest.param(*each, id=each[0]) for each in examples()])
def test_each_example_is_what_its_schema_says(place: str, value: object, against: Mapping[str, Any]) -> None:
    assert_valid(value, against)


def test_a_message_may_be_asked_for_in_exactly_the_documented_fields() -> None:
    documented = schema("SendSms")
    accepted = SendSmsBody.model_json_schema()

    assert set(documented["properties"]) == set(accepted["properties"])
    assert documented["required"] == accepted["required"]
    assert documented["additionalProperties"] is accepted["additionalProperties"] is False
    for name, rule in accepted["properties"].items():
        shown = documented["properties"][name]
        assert alternatives(shown, root=document()) == alternatives(rule, root=accepted), name


@pytest.mark.parametrize(
    ("name", "field", "values"),
    [
        ("SmsState", None, {each.value for each in SmsState}),
        ("Carrier", None, {each.value for each in Carrier}),
        ("VerificationState", None, {each.value for each in VerificationState}),
        ("VerificationMode", None, {each.value for each in VerificationMode}),
        ("VerificationLines", None, {each.value for each in VerificationLines}),
        ("DeliveryReport", "meaning", {each.value for each in DeliveryMeaning}),
        (
            "TextProblem",
            "code",
            {each.value for each in RefusalCode} | {"empty", "too_long", "text_au_not_applicable", "more_problems"},
        ),
    ],
)
def test_each_closed_vocabulary_is_the_codes_own(name: str, field: str | None, values: set[str]) -> None:
    rule = schema(name) if field is None else schema(name)["properties"][field]

    assert set(rule["enum"]) == values
    assert len(rule["enum"]) == len(values)


@pytest.mark.parametrize("name", ["SmsState", "VerificationState"])
def test_every_state_is_explained(name: str) -> None:
    explained = schema(name)["description"]

    assert [line.split("`")[1] for line in explained.splitlines()] == schema(name)["enum"]


@pytest.mark.parametrize(
    ("name", "model"), [("StartVerification", StartVerificationBody), ("CheckVerification", CheckVerificationBody)]
)
def test_verifications_are_asked_for_in_exactly_the_documented_fields(name: str, model: type[BaseModel]) -> None:
    documented, accepted = schema(name), model.model_json_schema()

    assert set(documented["properties"]) == set(accepted["properties"])
    assert documented["required"] == accepted["required"]
    assert documented["additionalProperties"] is accepted["additionalProperties"] is False
    for field, rule in accepted["properties"].items():
        shown = documented["properties"][field]
        assert alternatives(shown, root=document()) == alternatives(rule, root=accepted), field


@pytest.mark.parametrize(
    "facts", [{}, {"called_at": START}, {"late_call_at": START, "mode": VerificationMode.CALL_OUT, "repeat_calls": 1}]
)
def test_a_verification_is_shown_in_exactly_the_documented_fields(facts: dict[str, Any]) -> None:
    view = OrderView(order=a_verification(**facts), status=Status(VerificationState.PENDING, final=False))
    shown = verification_json(view)

    assert_valid(shown, schema("Verification"))
    assert set(shown) == set(schema("Verification")["properties"]) == set(schema("Verification")["required"])
    listed = verifications_json(Page(items=[view], next_position="position"))
    assert_valid(listed, schema("VerificationList"))
    assert set(listed) == set(schema("VerificationList")["properties"])


@pytest.mark.parametrize("state", VerificationState)
def test_the_answer_to_a_start_has_a_documented_status_and_documented_headers(state: VerificationState) -> None:
    view = OrderView(order=a_verification(), status=Status(state, final=False))

    assert_documented(started_reply(view, replayed=True), operations()["/v1/verifications", "post"])


@pytest.mark.parametrize("message", [full_message(), a_message(measure=None)], ids=["full", "bare"])
def test_a_message_is_shown_in_exactly_the_documented_fields(message: Message) -> None:
    shown = view_json(
        OrderView(order=message, status=SmsStatus(SmsState.DELIVERED, final=True)), statuses=DELIVERY_STATUSES
    )

    assert_valid(shown, schema("Sms"))
    assert set(shown) == set(schema("Sms")["properties"]) == set(schema("Sms")["required"])
    for report in shown["reports"]:
        assert set(report) == set(schema("DeliveryReport")["properties"])
    if shown["text"] is not None:
        assert set(shown["text"]) == set(schema("TextMeasure")["properties"])


def test_a_list_is_shown_in_exactly_the_documented_fields() -> None:
    shown = list_json(Page(items=[a_view()], next_position="position"), statuses=DELIVERY_STATUSES)

    assert_valid(shown, schema("SmsList"))
    assert set(shown) == set(schema("SmsList")["properties"])


@pytest.mark.parametrize(
    "request_",
    [SmsRequest(to="09000000001", text="①" * 30, text_au="x"), SmsRequest(to="09000000001", template_id="1")],
)
def test_a_preflight_is_shown_in_exactly_the_documented_fields(request_: SmsRequest) -> None:
    shown = preflight_json(compose(request_, rules=SmsRules()))

    assert_valid(shown, schema("Preflight"))
    assert set(shown) == set(schema("Preflight")["properties"])
    for view in shown["carriers"].values():
        assert set(view) == set(schema("CarrierView")["properties"])
    assert {name for each in shown["problems"] for name in each} <= set(schema("TextProblem")["properties"])


def test_the_status_is_shown_in_exactly_the_documented_fields() -> None:
    provider = ProviderStatus(
        open_because=None,
        consecutive_401s=0,
        requests_per_s=80,
        slots_ahead_s=0.0,
        in_flight=1,
        in_flight_limit=7,
    )
    usage = QuotaUsage(month="2026-11", used=1, limit=2, reserve=0, exhausted_on=date(2026, 11, 30))
    depth = QueueDepth(waiting=1, delayed=2, under_way=3)
    shown = status_json(
        SystemStatus(
            at=START,
            providers={"mediasms": provider, "biztel": None},
            month_quotas={"biztel": usage, "other": None},
            oldest_pending_deadline=START,
            queues={"outbox": depth, "other": None},
            unavailable=["providers.biztel"],
        )
    )

    assert_valid(shown, schema("Status"))
    for part, name in (
        (shown, "Status"),
        (shown["providers"]["mediasms"], "ProviderStatus"),
        (shown["month_quotas"]["biztel"], "MonthQuotaUsage"),
        (shown["queues"]["outbox"], "QueueDepth"),
    ):
        assert set(part) == set(schema(name)["properties"]) == set(schema(name)["required"])


def test_lists_take_exactly_the_documented_parameters() -> None:
    request = load_event("query", "list_with_filters")
    documented = {each["name"] for each in operations()["/v1/sms", "get"]["parameters"]}

    assert documented == set(_parameters_that_lists_take(request))


def _parameters_that_lists_take(event: dict[str, Any]) -> Iterator[str]:
    from switchboard.edge.http import InboundRequest

    for name in ("to", "state", "since", "until", "limit", "cursor", "smsid", "page", "offset", "client", "from"):
        query = {"multiValueQueryStringParameters": {name: ["?"]}}
        try:
            parse_filter(InboundRequest.from_event(event | query))
        except InvalidRequestError as error:
            if error.problems[0].code != "unknown_parameter":
                yield name


def test_the_problems_are_the_codes_own_and_api_gateways() -> None:
    # An unreadable callback is kept and answered with 200, a lost outcome is the state `unknown`: never answers.
    ours = [each for kind, each in PROBLEMS.items() if kind not in {WebhookUnreadableError, OutcomeUnknownError}]
    expected: dict[tuple[int, str], set[str]] = {}
    for problem in (*ours, UNEXPECTED):
        expected.setdefault((int(problem.status), problem.code), set()).add(problem.title)
    for body in gateway_problems():
        expected.setdefault((body["status"], body["code"]), set()).add(body["title"])

    documented = problem_examples()

    assert documented.keys() == expected.keys()
    for problem_, titles in documented.items():
        assert titles <= expected[problem_]
    assert set(schema("Problem")["properties"]["code"]["enum"]) == {code for _, code in expected}


@pytest.mark.parametrize("body", gateway_problems(), ids=lambda body: body["code"])
def test_what_api_gateway_answers_by_itself_is_a_documented_problem(body: dict[str, Any]) -> None:
    assert_valid(body, schema("Problem"))
    for operation in operations().values():
        # A path without a route has no operation to be documented with.
        assert str(body["status"]) in {*operation["responses"], "404"}


def test_a_problem_names_nothing_that_is_not_documented() -> None:
    refused = RefusedError(
        "refused", provider="mediasms", operation="send_sms", provider_code="550", request_id="request"
    )
    replies = [
        reply_to(SubmissionFailedError(refused, {"smsid": "sms1"}, replayed=True)),
        reply_to(WrongCodeError("another", {"verification_id": "v1"}, attempts_left=2)),
        reply_to(SubmissionFailedError(refused, {"token": "call1"}, replayed=True)),
        reply_to(InvalidRequestError(FieldProblem("to", "is empty"))),
    ]
    members: set[str] = set()
    for reply in replies:
        assert isinstance(reply.body, str)
        shown = json.loads(reply.body)
        assert_valid(shown, schema("Problem"))
        members |= set(shown)
        for each in shown.get("errors", ()):
            assert set(each) == set(schema("FieldProblem")["properties"])

    # tests/unit/handlers/test_biztel_call_action_webhook.py sees it written.
    assert members | {"result"} == set(schema("Problem")["properties"])


def test_retry_after_is_documented_for_exactly_the_statuses_that_carry_it() -> None:
    carried = {int(each.status) for each in PROBLEMS.values() if each.retry_after_s is not None}
    carried |= {HTTPStatus.TOO_MANY_REQUESTS}  # API Gateway's throttling
    documented = {
        int(status)
        for operation in operations().values()
        for status, response in operation["responses"].items()
        if "Retry-After" in resolve(response).get("headers", {})
    }

    assert documented == carried


@pytest.mark.parametrize("state", SmsState)
def test_the_answer_to_a_send_has_a_documented_status_and_documented_headers(state: SmsState) -> None:
    reply = sent_reply(a_view(state), statuses=DELIVERY_STATUSES, replayed=True)

    assert_documented(reply, operations()["/v1/sms", "post"])


def assert_documented(reply: Reply | HttpAnswer, operation: Mapping[str, Any]) -> None:
    """The answer's status, content type, body and headers are all in the operation."""
    response = resolve(operation["responses"][str(int(reply.status))])
    documented = response.get("headers", {})
    assert OUR_HEADERS & set(reply.headers) <= set(documented)
    for name, header in documented.items():
        rule = resolve(header)
        assert name in reply.headers or not rule.get("required"), name
        if name in reply.headers:
            assert_valid(reply.headers[name], rule["schema"])
    if isinstance(reply, HttpAnswer):
        content_type = reply.headers["Content-Type"].split(";")[0]
        body = reply.body if content_type == "text/plain" else reply.json
        assert_valid(body, response["content"][content_type]["schema"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Deployment]:
    with deployed() as deployment:
        yield deployment


@pytest.mark.parametrize(("function", "case"), [(name, case) for name in HTTP_FUNCTIONS for case in cases_of(name)])
def test_every_sample_event_is_answered_as_documented(stack: Deployment, function: str, case: str) -> None:
    event = load_event(function, case)
    path = f"/v1{event['resource']}"
    if "recording" in function:
        stack.http("biztel_call_action_webhook", load_event("biztel_call_action_webhook", "get_query"))
        stack.invoke("fetch_recording", load_event("fetch_recording", "job"))

    answer = stack.http(function, event)

    assert_documented(answer, operations()[path, event["httpMethod"].lower()])


def test_a_call_is_shown_with_exactly_the_documented_members() -> None:
    call = a_call(outcomes={"first": an_outcome(OutcomeKind.ACCEPTED)}, reports=(CallResultFact("answered", START),))
    shown = call_json(OrderView(order=call, status=Status(VoiceCallState.ACCEPTED, final=False)))

    assert_valid(shown, schema("Call"))
    assert set(shown) == set(schema("Call")["properties"]) == set(schema("Call")["required"])
    assert set(schema("VoiceCallState")["enum"]) == set(VoiceCallState)


def test_a_call_may_be_asked_for_in_exactly_the_documented_fields() -> None:
    accepted, documented = PlaceCallBody.model_json_schema(), schema("PlaceCall")

    assert set(documented["properties"]) == set(accepted["properties"])
    assert documented["required"] == accepted["required"]
    for name in set(accepted["properties"]) - {"variables"}:
        shown, rule = documented["properties"][name], accepted["properties"][name]
        assert alternatives(shown, root=document()) == alternatives(rule, root=accepted), name


def test_the_list_of_calls_takes_what_that_of_messages_does() -> None:
    named = [{each["name"] for each in operations()[path, "get"]["parameters"]} for path in ("/v1/sms", "/v1/calls")]

    assert named[0] == named[1]

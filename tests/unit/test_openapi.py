"""Tests that docs/openapi.yaml and the code agree in both directions: routes, fields, codes and headers."""

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
    ScopeMissingError,
    SubmissionFailedError,
    WebhookUnreadableError,
    WrongCodeError,
)
from switchboard.domain.orders import OutcomeKind, Status
from switchboard.domain.published_states import PUBLISHED_STATES
from switchboard.domain.recording.audio import AudioFormat
from switchboard.domain.recording.facts import FetchEnd
from switchboard.domain.recording.status import ChannelState
from switchboard.domain.sms.delivery import DeliveryMeaning, ReportFact
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus, TextMeasure
from switchboard.domain.sms.requests import SmsRequest, SmsRules, compose
from switchboard.domain.sms.texts import Carrier, RefusalCode
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import (
    ChannelState as VerificationChannelState,
)
from switchboard.domain.verification.verifications import (
    ChannelView,
    CodeRecipe,
    VerificationLines,
    VerificationState,
)
from switchboard.domain.voice_calls import CallResultFact, VoiceCallState
from switchboard.edge.api import sms as sms_api
from switchboard.edge.api import status as status_api
from switchboard.edge.api import verifications as verification_api
from switchboard.edge.api import voice_calls as voice_call_api
from switchboard.edge.api.bodies.sms import SendSmsBody
from switchboard.edge.api.bodies.verifications import CheckVerificationBody, StartVerificationBody
from switchboard.edge.api.bodies.voice_calls import PlaceCallBody
from switchboard.edge.http import Reply
from switchboard.edge.problems import PROBLEMS, UNEXPECTED, reply_to
from switchboard.ports.listing import Page
from switchboard.ports.status import QueueDepth
from switchboard.ports.usage_limits import QuotaUsage
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.usecases.operations.query_status import ProviderStatus, SystemStatus
from switchboard.usecases.query import OrderView
from switchboard.usecases.verification.channels import VerificationView
from tests.builders import a_call, a_message, a_verification, an_outcome
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import cases_of, load_event
from tests.fakes import START
from tests.translated_template import ROOT, source

METHODS: Final = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})
HTTP_FUNCTIONS: Final = (
    "send_sms",
    "send_sms_batch",
    "cancel_sms",
    "suppressions",
    "query",
    "query_status",
    "mediasms_delivery_webhook",
    "start_verification",
    "check_verification",
    "cancel_verification",
    "mediasms_ivr_webhook",
    "place_call",
    "baidu_vms_webhook",
    "biztel_call_action_webhook",
    "query_recordings",
    "correct_recording_roles",
    "manage_subscriptions",
)
OUR_HEADERS: Final = frozenset({"Location", "Idempotent-Replayed", "Retry-After"})


@cache
def load_document() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
    return parsed


def resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the node that `node` refers to, or `node` itself if it is no reference."""
    target: Any = node
    while "$ref" in target:
        target = follow_reference(target["$ref"], root=load_document())
    return cast("Mapping[str, Any]", target)


def follow_reference(reference: str, *, root: Mapping[str, Any]) -> Any:
    """Return the node of `root` that `reference` points to."""
    target: Any = root
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target


def get_schema(name: str) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = load_document()["components"]["schemas"][name]
    return schema


def assert_valid(value: object, schema: Mapping[str, Any]) -> None:
    # The references in a schema point into the document's components.
    OAS31Validator({**schema, "components": load_document()["components"]}).validate(value)


def get_operations() -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return every operation by (path, method)."""
    return {
        (path, method): operation
        for path, item in load_document()["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def get_template_routes() -> dict[tuple[str, str], bool]:
    """Return whether each Api event of the template needs an API key, by (path, method)."""
    resources = source()["Resources"]
    api = resources["Api"]["Properties"]
    routes = {}
    for resource in resources.values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "Api":
                route = event["Properties"]
                path = f"/{api['StageName']}{route['Path']}"
                default = api["Auth"]["ApiKeyRequired"]
                routes[path, route["Method"].lower()] = route.get("Auth", {}).get("ApiKeyRequired", default)
    return routes


def list_alternatives(node: Mapping[str, Any], *, root: Mapping[str, Any]) -> set[str]:
    """Return the types that a schema accepts, each with its rules as one JSON text.

    The result is equal for two schemas that write the same rule differently.
    """
    if "$ref" in node:
        return list_alternatives(follow_reference(node["$ref"], root=root), root=root)
    if "anyOf" in node:
        return {text for branch in node["anyOf"] for text in list_alternatives(branch, root=root)}
    rules = {"string": ("minLength", "maxLength", "pattern", "enum"), "integer": ("minimum", "exclusiveMaximum")}
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return {
        json.dumps(
            {"type": type_name} | {rule: node[rule] for rule in rules.get(type_name, ()) if rule in node},
            sort_keys=True,
        )
        for type_name in types
    }


def find_examples() -> Iterator[tuple[str, object, Mapping[str, Any]]]:
    """Yield every example of the document with its place and its schema."""
    for (path, method), operation in get_operations().items():
        place = f"{method} {path}"
        parameters = [*operation.get("parameters", ()), *load_document()["paths"][path].get("parameters", ())]
        for parameter in map(resolve, parameters):
            yield from _find_examples_in(parameter, f"{place} {parameter['name']}")
        parts = [("request", operation.get("requestBody", {}))]
        parts += [(status, resolve(response)) for status, response in operation["responses"].items()]
        for part_name, part in parts:
            for media_type, media in part.get("content", {}).items():
                yield from _find_examples_in(media, f"{place} {part_name} {media_type}")


def _find_examples_in(node: Mapping[str, Any], place: str) -> Iterator[tuple[str, object, Mapping[str, Any]]]:
    if "example" in node:
        yield place, node["example"], node["schema"]
    for name, example in node.get("examples", {}).items():
        yield f"{place} {name}", example["value"], node["schema"]


def get_problem_titles() -> dict[tuple[int, str], set[str]]:
    """Return the titles of the document's problems by (status, code)."""
    titles: dict[tuple[int, str], set[str]] = {}
    for response in load_document()["components"]["responses"].values():
        media = response["content"].get("application/problem+json", {})
        for name, example in media.get("examples", {}).items():
            value = example["value"]
            assert name == value["code"]
            titles.setdefault((value["status"], value["code"]), set()).add(value["title"])
    return titles


def get_gateway_problems() -> list[dict[str, Any]]:
    """Return the bodies of API Gateway's own error responses."""
    responses = source()["Resources"]["Api"]["Properties"]["GatewayResponses"]
    bodies = [response["ResponseTemplates"]["application/json"] for response in responses.values()]
    return [json.loads(body.replace("$context.error.messageString", '"a text"')) for body in bodies]


def build_view(state: SmsState = SmsState.ACCEPTED, **facts: Any) -> OrderView[Message, SmsStatus]:
    return OrderView(order=a_message(**facts), status=SmsStatus(state=state, final=False))


def build_full_message() -> Message:
    return a_message(
        not_after=START + timedelta(hours=1),
        measure=TextMeasure(characters=3, bytes_sjis=6, parts=1),
        outcomes={"first": an_outcome(OutcomeKind.ACCEPTED, code="200")},
        reports=(ReportFact("1", START), ReportFact("unlisted status", START)),
    )


def test_the_document_is_valid_openapi() -> None:
    validate(load_document())


def test_no_description_is_cut_at_an_unquoted_comma() -> None:
    # In a flow mapping the text after an unquoted comma becomes a key without a value.
    assert [key for key in _find_keys_without_value(load_document()) if " " in key] == []


def _find_keys_without_value(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if value is None:
                yield key
            yield from _find_keys_without_value(value)
    elif isinstance(node, list):
        for item in node:
            yield from _find_keys_without_value(item)


def test_the_routes_and_their_api_keys_are_the_templates() -> None:
    documented = {}
    for route, operation in get_operations().items():
        security = operation.get("security", load_document()["security"])
        assert security in ([], [{"apiKey": []}])
        documented[route] = bool(security)

    assert documented == get_template_routes()
    key = load_document()["components"]["securitySchemes"]["apiKey"]
    assert (key["in"], key["name"]) == ("header", "x-api-key")


@pytest.mark.parametrize(
    ("value", "schema"), [pytest.param(value, schema, id=place) for place, value, schema in find_examples()]
)
def test_every_example_is_valid_against_its_schema(value: object, schema: Mapping[str, Any]) -> None:
    assert_valid(value, schema)


def test_a_send_accepts_exactly_the_documented_fields() -> None:
    documented = get_schema("SendSms")
    accepted = SendSmsBody.model_json_schema()

    assert set(documented["properties"]) == set(accepted["properties"])
    assert documented["required"] == accepted["required"]
    assert documented["additionalProperties"] is accepted["additionalProperties"] is False
    assert_same_rules(documented, accepted, names=set(accepted["properties"]))


def assert_same_rules(documented: Mapping[str, Any], accepted: Mapping[str, Any], *, names: set[str]) -> None:
    for name in sorted(names):
        documented_rules = list_alternatives(documented["properties"][name], root=load_document())
        assert documented_rules == list_alternatives(accepted["properties"][name], root=accepted), name


@pytest.mark.parametrize(
    ("name", "field", "values"),
    [
        pytest.param("SmsState", None, set(SmsState), id="SMS states"),
        pytest.param("Carrier", None, set(Carrier), id="carriers"),
        pytest.param("VerificationState", None, set(VerificationState), id="verification states"),
        pytest.param("VerificationMode", None, set(VerificationMode), id="verification modes"),
        pytest.param("VerificationLines", None, set(VerificationLines), id="verification lines"),
        pytest.param("PublishedState", None, set().union(*PUBLISHED_STATES.values()), id="states that events show"),
        pytest.param("DeliveryReport", "meaning", set(DeliveryMeaning), id="meanings of reports"),
        pytest.param("RecordingChannel", "state", set(ChannelState), id="states of a channel"),
        pytest.param(
            "RecordingChannel",
            "problem",
            {*FetchEnd, "not_fetched"} - {FetchEnd.STORED},
            id="problems of a channel",
        ),
        pytest.param(
            "RecordingChannel",
            "content_type",
            {None, *(audio_format.content_type for audio_format in AudioFormat)},
            id="types of a recording",
        ),
        pytest.param(
            "TextProblem",
            "code",
            {*RefusalCode, "empty", "too_long", "text_au_not_applicable", "more_problems"},
            id="problems of a text",
        ),
    ],
)
def test_every_enumeration_has_the_values_of_the_code(name: str, field: str | None, values: set[str | None]) -> None:
    rule = get_schema(name) if field is None else get_schema(name)["properties"][field]

    assert set(rule["enum"]) == values
    assert len(rule["enum"]) == len(values)


@pytest.mark.parametrize("name", ["SmsState", "VerificationState", "VoiceCallState", "RecordingState"])
def test_every_state_is_explained(name: str) -> None:
    description = get_schema(name)["description"]

    assert [line.split("`")[1] for line in description.splitlines()] == get_schema(name)["enum"]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        pytest.param("StartVerification", StartVerificationBody, id="start"),
        pytest.param("CheckVerification", CheckVerificationBody, id="check"),
    ],
)
def test_a_verification_accepts_exactly_the_documented_fields(name: str, model: type[BaseModel]) -> None:
    documented, accepted = get_schema(name), model.model_json_schema()

    assert set(documented["properties"]) == set(accepted["properties"])
    assert documented["required"] == accepted["required"]
    assert documented["additionalProperties"] is accepted["additionalProperties"] is False
    assert_same_rules(documented, accepted, names=set(accepted["properties"]))


def build_verification_view(state: VerificationState, **facts: Any) -> VerificationView:
    channels = [
        ChannelView(
            VerificationMode.SMS_CODE, channel, started_at=START, delivered_at=START, problem="provider_rejected"
        )
        for channel in VerificationChannelState
    ]
    channels.append(ChannelView(VerificationMode.CALL_OUT, VerificationChannelState.SCHEDULED, started_at=None))
    return VerificationView(
        order=a_verification(**facts), status=Status(state, final=False), channels=channels, sequence=3
    )


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({}, id="pending"),
        pytest.param({"called_at": START}, id="called in time"),
        pytest.param(
            {"mode": VerificationMode.SMS_CODE, "line": "", "recipe": CodeRecipe(length=6, key_version="1")}, id="code"
        ),
        pytest.param(
            {"late_call_at": START, "mode": VerificationMode.CALL_OUT, "repeat_calls": 1},
            id="call_out with a late call",
        ),
    ],
)
def test_a_verification_has_exactly_the_documented_fields(facts: dict[str, Any]) -> None:
    view = build_verification_view(VerificationState.PENDING, **facts)
    item = verification_api.to_json(view)

    assert_valid(item, get_schema("Verification"))
    assert set(item) == set(get_schema("Verification")["properties"]) == set(get_schema("Verification")["required"])
    page = verification_api.page_to_json(Page(items=[view], next_position="position"))
    assert_valid(page, get_schema("VerificationList"))
    assert set(page) == set(get_schema("VerificationList")["properties"])


@pytest.mark.parametrize("state", VerificationState)
def test_a_start_is_answered_with_documented_status_and_headers(state: VerificationState) -> None:
    view = build_verification_view(state)

    assert_documented(verification_api.to_reply(view, replayed=True), get_operations()["/v1/verifications", "post"])


@pytest.mark.parametrize(
    "message", [pytest.param(build_full_message(), id="full"), pytest.param(a_message(measure=None), id="bare")]
)
def test_a_message_has_exactly_the_documented_fields(message: Message) -> None:
    item = sms_api.to_json(
        OrderView(order=message, status=SmsStatus(SmsState.DELIVERED, final=True)), statuses=DELIVERY_STATUSES
    )

    assert_valid(item, get_schema("Sms"))
    assert set(item) == set(get_schema("Sms")["properties"]) == set(get_schema("Sms")["required"])
    for report in item["reports"]:
        assert set(report) == set(get_schema("DeliveryReport")["properties"])
    if item["text"] is not None:
        assert set(item["text"]) == set(get_schema("TextMeasure")["properties"])


def test_a_list_of_messages_has_exactly_the_documented_fields() -> None:
    page = sms_api.page_to_json(Page(items=[build_view()], next_position="position"), statuses=DELIVERY_STATUSES)

    assert_valid(page, get_schema("SmsList"))
    assert set(page) == set(get_schema("SmsList")["properties"])


@pytest.mark.parametrize(
    "sms_request",
    [
        pytest.param(SmsRequest(to="09000000001", text="①" * 30, text_au="x"), id="text with problems"),
        pytest.param(SmsRequest(to="09000000001", template_id="1"), id="template"),
    ],
)
def test_a_preflight_has_exactly_the_documented_fields(sms_request: SmsRequest) -> None:
    body = sms_api.preflight_to_json(compose(sms_request, rules=SmsRules()))

    assert_valid(body, get_schema("Preflight"))
    assert set(body) == set(get_schema("Preflight")["properties"])
    for carrier_view in body["carriers"].values():
        assert set(carrier_view) == set(get_schema("CarrierView")["properties"])
    names = {name for problem in body["problems"] for name in problem}
    assert names <= set(get_schema("TextProblem")["properties"])


def test_the_status_has_exactly_the_documented_fields() -> None:
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
    body = status_api.to_json(
        SystemStatus(
            at=START,
            providers={"mediasms": provider, "biztel": None},
            month_quotas={"biztel": usage, "other": None},
            oldest_pending_deadline=START,
            queues={"outbox": depth, "other": None},
            unavailable=["providers.biztel"],
        )
    )

    assert_valid(body, get_schema("Status"))
    for part, name in (
        (body, "Status"),
        (body["providers"]["mediasms"], "ProviderStatus"),
        (body["month_quotas"]["biztel"], "MonthQuotaUsage"),
        (body["queues"]["outbox"], "QueueDepth"),
    ):
        assert set(part) == set(get_schema(name)["properties"]) == set(get_schema(name)["required"])


def test_a_list_accepts_exactly_the_documented_parameters() -> None:
    event = load_event("query", "list_with_filters")
    documented = {resolve(parameter)["name"] for parameter in get_operations()["/v1/sms", "get"]["parameters"]}

    assert documented == set(_find_accepted_parameters(event))


def _find_accepted_parameters(event: dict[str, Any]) -> Iterator[str]:
    from switchboard.edge.http import InboundRequest

    known = ("to", "state", "reference", "since", "until", "limit", "cursor")
    for name in (*known, "smsid", "page", "offset", "client", "from"):
        query = {"multiValueQueryStringParameters": {name: ["?" * 65]}}
        try:
            sms_api.parse_filter(InboundRequest.from_event(event | query))
        except InvalidRequestError as error:
            if error.problems[0].code != "unknown_parameter":
                yield name


def test_the_problems_are_those_of_the_code_and_of_api_gateway() -> None:
    # These two errors are never an answer: an unreadable callback is quarantined and answered with 200, and a lost
    # outcome is the state `unknown`.
    unanswered = {WebhookUnreadableError, OutcomeUnknownError}
    problems = [problem for error_type, problem in PROBLEMS.items() if error_type not in unanswered]
    expected: dict[tuple[int, str], set[str]] = {}
    for problem in (*problems, UNEXPECTED):
        expected.setdefault((int(problem.status), problem.code), set()).add(problem.title)
    for body in get_gateway_problems():
        expected.setdefault((body["status"], body["code"]), set()).add(body["title"])

    documented = get_problem_titles()

    assert documented.keys() == expected.keys()
    for status_and_code, titles in documented.items():
        assert titles <= expected[status_and_code]
    assert set(get_schema("Problem")["properties"]["code"]["enum"]) == {code for _, code in expected}


@pytest.mark.parametrize("body", get_gateway_problems(), ids=lambda body: body["code"])
def test_an_error_of_api_gateway_is_a_documented_problem(body: dict[str, Any]) -> None:
    assert_valid(body, get_schema("Problem"))
    for operation in get_operations().values():
        # A path without a route has no operation, so its 404 is documented nowhere.
        assert str(body["status"]) in {*operation["responses"], "404"}


def test_a_problem_has_only_documented_members() -> None:
    refused = RefusedError(
        "refused", provider="mediasms", operation="send_sms", provider_code="550", request_id="request"
    )
    replies = [
        reply_to(SubmissionFailedError(refused, {"smsid": "sms1"}, replayed=True)),
        reply_to(WrongCodeError("another", {"verification_id": "v1"}, attempts_left=2)),
        reply_to(SubmissionFailedError(refused, {"token": "call1"}, replayed=True)),
        reply_to(InvalidRequestError(FieldProblem("to", "is empty"))),
        reply_to(ScopeMissingError("it is missing", scope="calls")),
    ]
    members: set[str] = set()
    for reply in replies:
        assert isinstance(reply.body, str)
        body = json.loads(reply.body)
        assert_valid(body, get_schema("Problem"))
        members |= set(body)
        for field_problem in body.get("errors", ()):
            assert set(field_problem) == set(get_schema("FieldProblem")["properties"])

    # tests/unit/handlers/test_biztel_call_action_webhook.py tests `result`.
    assert members | {"result"} == set(get_schema("Problem")["properties"])


def test_retry_after_is_documented_for_exactly_its_statuses() -> None:
    expected = {int(problem.status) for problem in PROBLEMS.values() if problem.retry_after_s is not None}
    expected |= {HTTPStatus.TOO_MANY_REQUESTS}  # API Gateway's throttling
    documented = {
        int(status)
        for operation in get_operations().values()
        for status, response in operation["responses"].items()
        if "Retry-After" in resolve(response).get("headers", {})
    }

    assert documented == expected


@pytest.mark.parametrize("state", SmsState)
def test_a_send_is_answered_with_documented_status_and_headers(state: SmsState) -> None:
    reply = sms_api.to_reply(build_view(state), statuses=DELIVERY_STATUSES, replayed=True)

    assert_documented(reply, get_operations()["/v1/sms", "post"])


def assert_documented(reply: Reply | HttpAnswer, operation: Mapping[str, Any]) -> None:
    """Assert that the operation has the answer's status, content type, body and headers."""
    response = resolve(operation["responses"][str(int(reply.status))])
    documented_headers = response.get("headers", {})
    assert OUR_HEADERS & set(reply.headers) <= set(documented_headers)
    for name, header in documented_headers.items():
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


@pytest.mark.parametrize(
    ("function", "case"),
    [pytest.param(name, case, id=f"{name} {case}") for name in HTTP_FUNCTIONS for case in cases_of(name)],
)
def test_every_sample_event_is_answered_as_documented(stack: Deployment, function: str, case: str) -> None:
    event = load_event(function, case)
    path = f"/v1{event['resource']}"
    if "recording" in function:
        stack.http("biztel_call_action_webhook", load_event("biztel_call_action_webhook", "get_query"))
        stack.invoke("fetch_recording", load_event("fetch_recording", "job"))

    answer = stack.http(function, event)

    assert_documented(answer, get_operations()[path, event["httpMethod"].lower()])


def test_a_voice_call_has_exactly_the_documented_members() -> None:
    call = a_call(outcomes={"first": an_outcome(OutcomeKind.ACCEPTED)}, reports=(CallResultFact("answered", START),))
    item = voice_call_api.to_json(OrderView(order=call, status=Status(VoiceCallState.ACCEPTED, final=False)))

    assert_valid(item, get_schema("Call"))
    assert set(item) == set(get_schema("Call")["properties"]) == set(get_schema("Call")["required"])
    assert set(get_schema("VoiceCallState")["enum"]) == set(VoiceCallState)


def test_a_placed_call_accepts_exactly_the_documented_fields() -> None:
    accepted, documented = PlaceCallBody.model_json_schema(), get_schema("PlaceCall")

    assert set(documented["properties"]) == set(accepted["properties"])
    assert documented["required"] == accepted["required"]
    assert_same_rules(documented, accepted, names=set(accepted["properties"]) - {"variables"})


def test_calls_and_messages_are_listed_by_the_same_parameters() -> None:
    messages, calls = (
        {resolve(parameter)["name"] for parameter in get_operations()[path, "get"]["parameters"]}
        for path in ("/v1/sms", "/v1/calls")
    )

    assert calls == messages

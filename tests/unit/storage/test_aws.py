"""Threads share the AWS clients of a container, and its session builds them one at a time."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, UnknownServiceError

from switchboard.storage import aws
from tests.depth import at_depth

THREADS = 4


@pytest.fixture
def new_container(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Drop all clients before the test and after it."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    _drop_clients()
    yield
    _drop_clients()


def _drop_clients() -> None:
    aws._build_client.cache_clear()
    aws._get_session.cache_clear()


@pytest.mark.parametrize(
    "get_client", [aws.secretsmanager, aws.sqs, aws.s3, aws.dynamodb], ids=lambda get_client: get_client.__name__
)
def test_threads_that_need_a_client_at_once_get_the_same_one(
    get_client: Callable[[], object], new_container: None
) -> None:
    barrier = threading.Barrier(THREADS)

    def get_with_others(_: int) -> object:
        barrier.wait(timeout=30)
        return get_client()

    with ThreadPoolExecutor(THREADS) as pool:
        clients = list(pool.map(get_with_others, range(THREADS)))

    assert len({id(client) for client in clients}) == 1


def create_client(session: Any, service: str) -> Any:
    return session.create_client(service)


def test_a_client_of_ours_lists_no_folder_of_other_services(
    new_container: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    list_folder = os.listdir

    def record(path: str) -> list[str]:
        listed.append(Path(path).name)
        return list_folder(path)

    monkeypatch.setattr(os, "listdir", record)

    aws.dynamodb()

    assert set(listed) == {"dynamodb"}


@pytest.mark.parametrize("service", ["dynamodb", "s3", "secretsmanager", "sqs", "sts"])
def test_the_session_loads_the_models_that_botocore_loads(service: str, new_container: None) -> None:
    loader = aws._RegionalDataLoader if service in aws._REGIONAL_SERVICES else aws._DataLoader
    ours = create_client(aws._get_session(loader), service)
    usual = create_client(botocore.session.get_session(), service)

    assert ours.meta.service_model.metadata == usual.meta.service_model.metadata
    assert ours.meta.service_model.operation_names == usual.meta.service_model.operation_names
    assert ours.waiter_names == usual.waiter_names


def test_the_session_knows_no_service_that_botocore_does_not_know(new_container: None) -> None:
    with pytest.raises(UnknownServiceError):
        create_client(aws._get_session(aws._DataLoader), "no-such-service")


_CALLS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "dynamodb": ("list_tables", {}),
    "events": ("put_events", {"Entries": [{}]}),
    "secretsmanager": ("get_secret_value", {"SecretId": "tokens"}),
    "sqs": ("send_message", {"QueueUrl": "https://sqs.example.com/1/queue", "MessageBody": "entry"}),
}


@pytest.mark.parametrize("service", aws._REGIONAL_SERVICES)
@pytest.mark.parametrize("variant", ["", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_a_regional_service_is_called_as_botocore_calls_it(
    service: str, variant: str, new_container: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variant:
        monkeypatch.setenv(variant, "true")
    usual = botocore.session.get_session()
    partitions = usual.get_component("data_loader").load_data("endpoints")["partitions"]
    # The isolated partitions have no dual-stack endpoints.
    regions = [
        region
        for partition in partitions
        if not (variant and partition["partition"].startswith("aws-iso"))
        for region in list(partition["regions"])[: at_depth(usual=1, proof=99)]
    ]

    for region in ["ap-northeast-1", "ap-northeast-9", *regions]:
        ours = _record_request(aws._get_session(aws._RegionalDataLoader), service, region)
        assert ours == _record_request(usual, service, region)
        assert region in ours[1]


def _record_request(session: Any, service: str, region: str) -> tuple[str, str]:
    """Make a call that never leaves, and return its URL, and its authorization without the signature."""
    recorded: list[tuple[str, str]] = []

    def answer(request: Any, **_: object) -> Any:
        authorization = request.headers["Authorization"].decode()
        recorded.append((request.url, authorization.partition("Signature=")[0]))
        response: Any = AWSResponse(request.url, 200, HTTPHeaders(), None)
        response._content = b"{}"
        return response

    client = session.create_client(
        service, region_name=region, aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    client.meta.events.register("before-send", answer)
    operation, arguments = _CALLS[service]
    getattr(client, operation)(**arguments)
    return recorded[0]


def test_the_endpoints_of_all_services_are_not_read_for_a_regional_one(new_container: None) -> None:
    session = aws._get_session(aws._RegionalDataLoader)
    create_client(session, "dynamodb")

    assert session.get_component("data_loader").load_data("endpoints")["partitions"][0]["services"] == {}


def test_items_are_read_alike_by_either_parser(new_container: None) -> None:
    item = {
        "pk": {"S": "あ"},
        "n": {"N": "1.5"},
        "map": {"M": {"list": {"L": [{"BOOL": True}, {"NULL": True}]}, "set": {"SS": ["a"]}}},
    }
    bodies: dict[str, dict[str, Any]] = {
        "BatchGetItem": {"Responses": {"t": [item]}, "UnprocessedKeys": {"t": {"Keys": [{"pk": {"S": "b"}}]}}},
        "GetItem": {"Item": item},
        "Query": {"Items": [item], "LastEvaluatedKey": {"pk": {"S": "b"}}, "Count": 1},
        "UpdateItem": {"Attributes": item},
    }
    for operation, body in bodies.items():
        read_ours, read_plain = (_answer(operation, body, parse=parse) for parse in (True, False))
        assert read_ours == read_plain
        assert read_ours.items() >= body.items()


def test_an_error_of_a_read_keeps_its_code(new_container: None) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        _answer("Query", {"__type": "x#ResourceNotFoundException", "Items": []}, parse=True, status=400)


def _answer(operation: str, body: dict[str, Any], *, parse: bool, status: int = 200) -> dict[str, Any]:
    """Return what a client reads in this answer, without the metadata."""
    client: Any = cast("Any", botocore.session.get_session()).create_client(
        "dynamodb", aws_access_key_id="x", aws_secret_access_key="y"
    )
    if parse:
        aws.parse_items_fast(client)
    raw = SimpleNamespace(stream=lambda **_: iter([json.dumps(body).encode()]))
    client.meta.events.register("before-send", lambda **_: cast("Any", AWSResponse)("", status, {}, raw))
    call = {
        "BatchGetItem": {"RequestItems": {"t": {"Keys": [{"pk": {"S": "あ"}}]}}},
        "GetItem": {"TableName": "t", "Key": {"pk": {"S": "あ"}}},
        "Query": {"TableName": "t", "KeyConditionExpression": "pk = :pk"},
        "UpdateItem": {"TableName": "t", "Key": {"pk": {"S": "あ"}}},
    }
    answer = client._make_api_call(operation, call[operation])
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

"""Threads share the AWS clients of a container, and its session builds them one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from switchboard.storage import aws

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

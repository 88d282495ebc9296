"""Threads share clients, which may be shared, and never a session, which may not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from switchboard.storage import aws

THREADS = 4


@pytest.fixture
def new_container(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is made yet, and what is made here is nobody else's."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    _forget()
    yield
    _forget()


def _forget() -> None:
    aws._made.cache_clear()
    aws._session.cache_clear()


@pytest.mark.parametrize("client", [aws.secretsmanager, aws.sqs, aws.s3, aws.dynamodb])
def test_threads_that_need_a_client_at_once_get_one_and_the_same(
    client: Callable[[], object], new_container: None
) -> None:
    together = threading.Barrier(THREADS)

    def ask(_: int) -> object:
        together.wait(timeout=30)
        return client()

    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(ask, range(THREADS)))

    assert len({id(each) for each in made}) == 1

"""Every test of a handler has a stack of its own on moto."""

from collections.abc import Iterator

import pytest

from tests.deployment import Deployment, deployed


@pytest.fixture
def stack() -> Iterator[Deployment]:
    with deployed() as deployment:
        yield deployment

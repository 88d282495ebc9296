"""One stack on moto for each test of a handler."""

from collections.abc import Iterator

import pytest

from tests.deployment import Deployment, deployed


@pytest.fixture
def stack() -> Iterator[Deployment]:
    with deployed() as deployment:
        yield deployment

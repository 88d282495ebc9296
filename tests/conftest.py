"""What holds for all tests: how they are divided among the workers, and that no generated example has a deadline."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

SANDBOX = "tests/system/"
ON_AWS = ("tests/contract/", "tests/unit/handlers/")

# A machine may be slow and busy.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


class OneSandbox(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """A schedule in which the tests of the sandbox are one unit, each test on AWS is one, and so is each other module.

    Modules come by their number of tests. So the emulator works while the other workers go through the rest, and the
    single tests at the end leave no worker idle. With a unit for each of all tests pytest-xdist would count a long
    while. The groups of `--dist loadgroup` do not hold with pytest 9.2: github.com/pytest-dev/pytest-xdist/issues/1386.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(SANDBOX):
            return SANDBOX
        return nodeid if nodeid.startswith(ON_AWS) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneSandbox:
    """Let pytest-xdist use this schedule."""
    return OneSandbox(config, log)


def pytest_collection_finish() -> None:
    """Let garbage collection skip all that was imported and collected."""
    gc.collect()
    gc.freeze()

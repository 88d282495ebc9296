"""The init phase builds each application, calls nothing, and names the variables that are missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final, NoReturn

import pytest
from botocore.client import BaseClient

from switchboard.domain.errors import ConfigurationError
from tests.deployment import Deployment, deployed
from tests.translated_template import function_folders

FUNCTIONS: Final = sorted(function_folders().values())
_POWERTOOLS: Final = {"POWERTOOLS_METRICS_NAMESPACE": "Switchboard", "POWERTOOLS_SERVICE_NAME": "switchboard"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Deployment]:
    with deployed() as deployment:
        yield deployment


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_init_phase_builds_the_application_and_calls_nothing(
    function: str, *, stack: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_client: object, operation: str, _parameters: object) -> NoReturn:
        raise AssertionError(operation)

    def refuse_to_connect(_socket: object, address: object) -> NoReturn:
        raise AssertionError(address)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse_to_connect)
    stack.cold_start()

    stack.initialise(function)

    bootstrap = sys.modules[f"switchboard.bootstrap.{function}"]
    assert bootstrap.application.cache_info().currsize == 1
    if hasattr(bootstrap, "api_keys"):
        assert bootstrap.api_keys.cache_info().currsize == 1


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_missing_variable_ends_the_init_phase_and_is_named(function: str, *, stack: Deployment) -> None:
    stack.cold_start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.deployment.environment_of", lambda _logical_id: _POWERTOOLS)
        with pytest.raises(ConfigurationError, match=r"Settings: missing or unreadable: .*\b(STATE|LIMITS)_TABLE\b"):
            stack.initialise(function)

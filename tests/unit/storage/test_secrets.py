"""A secret is read once, read again if it is old or was forgotten, and never shown."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.storage.aws import CachedSecret, SecretValue

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_AGE_S = 300.0


@pytest.fixture(scope="module")
def manager() -> Iterator[SecretsManagerClient]:
    with mock_aws():
        session = boto3.Session(region_name="ap-northeast-1", aws_access_key_id="none", aws_secret_access_key="none")
        yield session.client("secretsmanager")


class _Stopwatch:
    """The seconds since the container began."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def stopwatch() -> _Stopwatch:
    return _Stopwatch()


@pytest.fixture
def name(manager: SecretsManagerClient, request: pytest.FixtureRequest) -> str:
    created = manager.create_secret(Name=request.node.name, SecretString='{"password": "canary"}')
    return created["Name"]


@pytest.fixture
def secret(manager: SecretsManagerClient, name: str, stopwatch: _Stopwatch) -> CachedSecret:
    return CachedSecret(client=lambda: manager, name=name, monotonic=stopwatch, max_age_s=MAX_AGE_S)


def _replace(manager: SecretsManagerClient, name: str, text: str = '{"password": "another"}') -> str:
    return manager.put_secret_value(SecretId=name, SecretString=text)["VersionId"]


def test_a_secret_has_its_values_and_their_version(
    manager: SecretsManagerClient, name: str, secret: CachedSecret
) -> None:
    version = manager.get_secret_value(SecretId=name)["VersionId"]
    assert secret() == SecretValue(version=version, values={"password": "canary"})


def test_a_secret_is_read_once_within_its_maximum_age(
    manager: SecretsManagerClient, name: str, secret: CachedSecret, stopwatch: _Stopwatch
) -> None:
    first = secret()
    _replace(manager, name)
    stopwatch.seconds += MAX_AGE_S
    assert secret() is first


def test_an_old_secret_is_read_again(
    manager: SecretsManagerClient, name: str, secret: CachedSecret, stopwatch: _Stopwatch
) -> None:
    secret()
    version = _replace(manager, name)
    stopwatch.seconds += MAX_AGE_S + 1
    assert secret() == SecretValue(version=version, values={"password": "another"})


def test_a_forgotten_secret_is_read_again(manager: SecretsManagerClient, name: str, secret: CachedSecret) -> None:
    before = secret().version
    version = _replace(manager, name)
    secret.forget()
    assert secret().version == version != before


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(" ", id="blank"),
        pytest.param("not json", id="text"),
        pytest.param("[]", id="array"),
        pytest.param('"text"', id="string"),
        pytest.param("null", id="null"),
        pytest.param("{", id="half an object"),
    ],
)
def test_a_secret_that_is_no_json_object_is_a_configuration_error(
    manager: SecretsManagerClient, secret: CachedSecret, name: str, text: str
) -> None:
    _replace(manager, name, text)
    with pytest.raises(ConfigurationError) as raised:
        secret()
    assert name in str(raised.value)


def test_a_binary_secret_is_a_configuration_error(
    manager: SecretsManagerClient, name: str, secret: CachedSecret
) -> None:
    manager.put_secret_value(SecretId=name, SecretBinary=b"{}")
    with pytest.raises(ConfigurationError):
        secret()


def test_an_unreadable_secret_is_an_unavailable_store(manager: SecretsManagerClient, stopwatch: _Stopwatch) -> None:
    missing = CachedSecret(client=lambda: manager, name="none", monotonic=stopwatch)
    with pytest.raises(StoreUnavailableError, match=r"^read secret: ResourceNotFoundException$"):
        missing()


def test_a_secret_value_is_not_in_its_repr(secret: CachedSecret) -> None:
    value = secret()
    assert "canary" not in f"{value} {value!r} {secret!r}"


def test_an_old_secret_stays_in_use_while_it_cannot_be_read(
    manager: SecretsManagerClient, name: str, stopwatch: _Stopwatch
) -> None:
    client: Any = SimpleNamespace(get_secret_value=manager.get_secret_value)
    secret = CachedSecret(client=lambda: client, name=name, monotonic=stopwatch, max_age_s=MAX_AGE_S)
    first = secret()
    nowhere = boto3.client(
        "secretsmanager",
        region_name="ap-northeast-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        endpoint_url="http://127.0.0.1:1",
    )
    client.get_secret_value = nowhere.get_secret_value
    stopwatch.seconds += MAX_AGE_S + 1
    assert secret() is first
    secret.forget()
    with pytest.raises(StoreUnavailableError):
        secret()

"""A secret is read once, read again when it is old or was refused, and never shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.storage.secrets import CachedSecret, SecretValue

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_AGE_S = 300.0


@pytest.fixture(scope="module")
def manager() -> Iterator[SecretsManagerClient]:
    with mock_aws():
        session = boto3.Session(region_name="ap-northeast-1", aws_access_key_id="none", aws_secret_access_key="none")
        yield session.client("secretsmanager")


class _Watch:
    """Seconds since the container began."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> _Watch:
    return _Watch()


@pytest.fixture
def name(manager: SecretsManagerClient, request: pytest.FixtureRequest) -> str:
    created = manager.create_secret(Name=request.node.name, SecretString='{"password": "canary"}')
    return created["Name"]


@pytest.fixture
def secret(manager: SecretsManagerClient, name: str, watch: _Watch) -> CachedSecret:
    return CachedSecret(client=lambda: manager, name=name, monotonic=watch, max_age_s=MAX_AGE_S)


def _replace(manager: SecretsManagerClient, name: str, text: str = '{"password": "another"}') -> str:
    return manager.put_secret_value(SecretId=name, SecretString=text)["VersionId"]


def test_its_values_and_the_version_they_are_of_are_read(
    manager: SecretsManagerClient, name: str, secret: CachedSecret
) -> None:
    version = manager.get_secret_value(SecretId=name)["VersionId"]
    assert secret() == SecretValue(version=version, values={"password": "canary"})


def test_it_is_read_once_while_it_is_young(
    manager: SecretsManagerClient, name: str, secret: CachedSecret, watch: _Watch
) -> None:
    first = secret()
    _replace(manager, name)
    watch.seconds += MAX_AGE_S
    assert secret() is first


def test_it_is_read_again_when_it_is_old(
    manager: SecretsManagerClient, name: str, secret: CachedSecret, watch: _Watch
) -> None:
    secret()
    version = _replace(manager, name)
    watch.seconds += MAX_AGE_S + 1
    assert secret() == SecretValue(version=version, values={"password": "another"})


def test_it_is_read_again_after_it_was_to_be_forgotten(
    manager: SecretsManagerClient, name: str, secret: CachedSecret
) -> None:
    before = secret().version
    version = _replace(manager, name)
    secret.forget()
    assert secret().version == version != before


@pytest.mark.parametrize("text", ["", "not json", "[]", '"text"', "null", "{"])
def test_what_is_not_a_json_object_is_a_mistake_in_the_deployment(
    manager: SecretsManagerClient, secret: CachedSecret, name: str, text: str
) -> None:
    _replace(manager, name, text or " ")
    with pytest.raises(ConfigurationError) as raised:
        secret()
    assert name in str(raised.value)


def test_a_secret_of_bytes_is_a_mistake_in_the_deployment(
    manager: SecretsManagerClient, name: str, secret: CachedSecret
) -> None:
    manager.put_secret_value(SecretId=name, SecretBinary=b"{}")
    with pytest.raises(ConfigurationError):
        secret()


def test_a_secret_that_cannot_be_read_is_said_so(manager: SecretsManagerClient, watch: _Watch) -> None:
    missing = CachedSecret(client=lambda: manager, name="none", monotonic=watch)
    with pytest.raises(StoreUnavailableError, match=r"^read secret: ResourceNotFoundException$"):
        missing()


def test_a_value_never_shows_itself(secret: CachedSecret) -> None:
    value = secret()
    assert "canary" not in f"{value} {value!r} {secret!r}"


def test_a_value_that_cannot_be_renewed_stays_until_it_can(
    manager: SecretsManagerClient, name: str, watch: _Watch
) -> None:
    clients = [manager]
    secret = CachedSecret(client=lambda: clients[0], name=name, monotonic=watch, max_age_s=MAX_AGE_S)
    first = secret()
    nowhere = boto3.client(
        "secretsmanager",
        region_name="ap-northeast-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        endpoint_url="http://127.0.0.1:1",
    )
    clients[0] = nowhere
    watch.seconds += MAX_AGE_S + 1
    assert secret() is first
    secret.forget()
    with pytest.raises(StoreUnavailableError):
        secret()

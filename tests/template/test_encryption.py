"""What is stored is encrypted, with the deployment's own key if it has one, and reached over TLS alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.translated_template import choose_branches, references_in, resources_of

KEY: Final = {"Ref": "KmsKeyArn"}
HAS_KEY: Final = frozenset({"HasKmsKey"})


def members_of(kind: str, member: str, conditions: frozenset[str]) -> dict[str, Any]:
    """Return one member of every resource of a type, by logical id; None for a resource without it."""
    return {
        name: choose_branches(properties, conditions).get(member) for name, properties in resources_of(kind).items()
    }


@pytest.mark.parametrize(
    ("kind", "member", "own", "of_aws"),
    [
        pytest.param(
            "AWS::DynamoDB::Table",
            "SSESpecification",
            {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY},
            {"SSEEnabled": True},
            id="tables",
        ),
        pytest.param("AWS::SQS::Queue", "KmsMasterKeyId", KEY, None, id="queues, own key"),
        pytest.param("AWS::SQS::Queue", "SqsManagedSseEnabled", None, True, id="queues, key of AWS"),
        pytest.param("AWS::SecretsManager::Secret", "KmsKeyId", KEY, None, id="secrets"),
        pytest.param("AWS::Logs::LogGroup", "KmsKeyId", KEY, None, id="logs"),
        pytest.param("AWS::Lambda::Function", "KmsKeyArn", KEY, None, id="environments"),
    ],
)
def test_everything_stored_is_encrypted_with_the_chosen_key(kind: str, member: str, own: Any, of_aws: Any) -> None:
    names = set(resources_of(kind))

    assert members_of(kind, member, HAS_KEY) == dict.fromkeys(names, own)
    assert members_of(kind, member, frozenset()) == dict.fromkeys(names, of_aws)


@pytest.mark.parametrize(
    ("conditions", "encryption"),
    [
        pytest.param(HAS_KEY, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}, id="own key"),
        pytest.param(frozenset(), {"SSEAlgorithm": "AES256"}, id="key of AWS"),
    ],
)
def test_every_bucket_is_encrypted_with_the_chosen_key(
    conditions: frozenset[str], encryption: Mapping[str, Any]
) -> None:
    for name, configuration in members_of("AWS::S3::Bucket", "BucketEncryption", conditions).items():
        [rule] = configuration["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == encryption, name


def test_every_bucket_keeps_versions_and_may_log_access() -> None:
    versioning = members_of("AWS::S3::Bucket", "VersioningConfiguration", frozenset())
    logging = members_of("AWS::S3::Bucket", "LoggingConfiguration", frozenset({"HasAccessLogBucket"}))

    assert set(map(json.dumps, versioning.values())) == {json.dumps({"Status": "Enabled"})}
    assert {json.dumps(configuration["DestinationBucketName"]) for configuration in logging.values()} == {
        json.dumps({"Ref": "AccessLogBucket"})
    }
    assert set(members_of("AWS::S3::Bucket", "LoggingConfiguration", frozenset()).values()) == {None}


@pytest.mark.parametrize(
    ("kind", "policy_kind", "member"),
    [
        pytest.param("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket", id="buckets"),
        pytest.param("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues", id="queues"),
    ],
)
def test_every_store_with_a_policy_of_its_own_refuses_plain_http(kind: str, policy_kind: str, member: str) -> None:
    tls_only: list[str] = []
    for policy in resources_of(policy_kind).values():
        refusals = [
            statement
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny"
            and statement["Principal"] == "*"
            and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        ]
        assert len(refusals) == 1
        tls_only += references_in(policy[member])

    assert sorted(tls_only) == sorted(resources_of(kind))

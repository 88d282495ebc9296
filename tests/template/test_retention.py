"""What is kept, how it is protected, and what is forgotten."""

from __future__ import annotations

import pytest

from switchboard.storage.orders.indexes import BY_CLIENT, BY_DUE, BY_RECIPIENT
from tests.translated_template import (
    references_in,
    resources_of,
    translated,
)


@pytest.mark.parametrize("name", sorted(resources_of("AWS::S3::Bucket")))
def test_a_bucket_is_encrypted_private_and_reached_by_tls_only(name: str) -> None:
    bucket = resources_of("AWS::S3::Bucket")[name]
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    denials = [
        statement
        for policy in resources_of("AWS::S3::BucketPolicy").values()
        if name in references_in(policy["Bucket"])
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    [denial] = denials
    assert (denial["Effect"], denial["Principal"], denial["Action"]) == ("Deny", "*", "s3:*")
    assert len(denial["Resource"]) == 2


def test_what_is_held_for_the_sweep_never_expires_before_it_is_released() -> None:
    rules = resources_of("AWS::S3::Bucket")["QuarantineBucket"]["LifecycleConfiguration"]["Rules"]

    assert [each["Prefix"] for each in rules if "ExpirationInDays" in each] == ["quarantine/"]


@pytest.mark.parametrize("name", ["JobsBucket", "RecordingsBucket"])
def test_what_was_overwritten_or_deleted_by_mistake_can_be_had_again_for_a_while(name: str) -> None:
    bucket = resources_of("AWS::S3::Bucket")[name]
    [rule] = bucket["LifecycleConfiguration"]["Rules"]

    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 1
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert set(references_in(rule["ExpirationInDays"])) <= {"JobRetentionDays", "RecordingRetentionDays"}


@pytest.mark.parametrize("name", sorted(resources_of("AWS::DynamoDB::Table")))
def test_a_table_outlives_its_stack_and_can_be_restored(name: str) -> None:
    resource = translated()["Resources"][name]

    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert resource["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert resource["Properties"]["SSESpecification"] == {"SSEEnabled": True}


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::SecretsManager::Secret"])
def test_buckets_and_secrets_outlive_their_stack(kind: str) -> None:
    for name in resources_of(kind):
        resource = translated()["Resources"][name]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name


def test_messages_and_tallies_expire() -> None:
    tables = resources_of("AWS::DynamoDB::Table")

    for name in ("StateTable", "LimitsTable"):
        assert tables[name]["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_indexes_are_those_that_the_store_asks_and_carry_nothing_that_reports_change() -> None:
    indexes = resources_of("AWS::DynamoDB::Table")["StateTable"]["GlobalSecondaryIndexes"]

    keys = {each["IndexName"]: [key["AttributeName"] for key in each["KeySchema"]] for each in indexes}
    assert keys == {
        BY_CLIENT: ["list_partition", "list_position"],
        BY_RECIPIENT: ["recipient_partition", "list_position"],
        BY_DUE: ["pending", "due"],
    }
    assert {each["Projection"]["ProjectionType"] for each in indexes} == {"KEYS_ONLY"}

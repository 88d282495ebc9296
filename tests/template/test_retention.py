"""Retention and protection of stored data."""

from __future__ import annotations

import pytest

from switchboard.storage.items import BY_DAY
from switchboard.storage.orders.indexes import BY_CLIENT, BY_DUE, BY_RECIPIENT
from tests.translated_template import (
    references_in,
    resources_of,
    translate_template,
)


@pytest.mark.parametrize("name", sorted(resources_of("AWS::S3::Bucket")))
def test_a_bucket_is_encrypted_private_and_open_to_tls_only(name: str) -> None:
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


def test_a_spooled_event_never_expires() -> None:
    rules = resources_of("AWS::S3::Bucket")["QuarantineBucket"]["LifecycleConfiguration"]["Rules"]

    assert [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule] == ["quarantine/"]


@pytest.mark.parametrize("name", ["JobsBucket", "RecordingsBucket"])
def test_an_overwritten_or_deleted_object_can_be_restored_for_a_while(name: str) -> None:
    bucket = resources_of("AWS::S3::Bucket")[name]
    [rule] = bucket["LifecycleConfiguration"]["Rules"]

    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 1
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert set(references_in(rule["ExpirationInDays"])) <= {"JobRetentionDays", "RecordingRetentionDays"}


@pytest.mark.parametrize("name", sorted(resources_of("AWS::DynamoDB::Table")))
def test_a_table_outlives_its_stack_and_can_be_restored(name: str) -> None:
    resource = translate_template()["Resources"][name]

    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert resource["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert resource["Properties"]["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::SecretsManager::Secret"])
def test_every_bucket_and_secret_outlives_its_stack(kind: str) -> None:
    for name in resources_of(kind):
        resource = translate_template()["Resources"][name]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name


@pytest.mark.parametrize("name", ["StateTable", "LimitsTable"])
def test_the_items_of_a_table_expire(name: str) -> None:
    table = resources_of("AWS::DynamoDB::Table")[name]

    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_indexes_have_the_stores_keys_and_nothing_a_report_changes() -> None:
    indexes = resources_of("AWS::DynamoDB::Table")["StateTable"]["GlobalSecondaryIndexes"]

    keys = {index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]] for index in indexes}
    assert keys == {
        BY_CLIENT: ["list_partition", "list_position"],
        BY_RECIPIENT: ["recipient_partition", "list_position"],
        BY_DUE: ["pending", "due"],
        BY_DAY: ["day_partition", "list_position"],
    }
    assert {index["Projection"]["ProjectionType"] for index in indexes} == {"KEYS_ONLY"}

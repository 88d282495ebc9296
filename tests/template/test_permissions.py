"""Every role has the permissions that its function needs, and no others."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

from tests.permissions import leading_keys
from tests.translated_template import (
    ensure_list,
    environment_of,
    function,
    function_folders,
    resources_of,
    role_of,
    statements,
    statements_of,
)

FUNCTIONS: Final = sorted(function_folders())
SENDERS: Final = {"SendSms", "SendQueuedSms", "StartVerification"}
PREFIXES: Final = {
    json.dumps({"Fn::Sub": f"${{{bucket}.Arn}}/{prefix}/*"})
    for bucket, prefix in (
        ("QuarantineBucket", "spool"),
        ("QuarantineBucket", "quarantine"),
        ("QuarantineBucket", "quarantine/recordings"),
        ("QuarantineBucket", "quarantine/bulk"),
        ("QuarantineBucket", "quarantine/jobs"),
        ("JobsBucket", "jobs"),
        ("JobsBucket", "backlog"),
        ("JobsBucket", "bulk"),
        ("QuarantineBucket", "quarantine/transcripts"),
        ("RecordingsBucket", "recordings"),
        ("RecordingsBucket", "transcripts"),
        ("RecognitionBucket", "media"),
        ("RecognitionBucket", "results"),
    )
}
JOBS: Final = "arn:${AWS::Partition}:transcribe:${AWS::Region}:${AWS::AccountId}:transcription-job/${AWS::StackName}.*"
# StartTranscriptionJob has no resource in IAM. The condition ties it to our bucket.
START_JOBS: Final = {
    "Sid": "StartJobs",
    "Effect": "Allow",
    "Action": "transcribe:StartTranscriptionJob",
    "Resource": "*",
    "Condition": {"StringEquals": {"transcribe:OutputBucketName": {"Ref": "RecognitionBucket"}}},
}


def actions_of(name: str) -> set[str]:
    """Return every action that a function's role allows."""
    return {action for statement in statements_of(name) for action in ensure_list(statement["Action"])}


def test_no_role_allows_every_action_or_every_resource() -> None:
    for role, statement in statements():
        if (role, statement) == ("StartTranscriptionRole", START_JOBS):
            continue
        actions, resources = ensure_list(statement["Action"]), ensure_list(statement["Resource"])
        assert not [action for action in actions if "*" in action], role
        assert "*" not in resources, role
        assert "NotAction" not in statement
        assert "NotResource" not in statement


def test_one_statement_for_every_resource_starts_jobs_into_our_bucket() -> None:
    assert [role for role, statement in statements() if statement == START_JOBS] == ["StartTranscriptionRole"]


def test_one_function_alone_reads_the_raw_results() -> None:
    results = {"Fn::Sub": "${RecognitionBucket.Arn}/results/*"}
    readers = [
        role
        for role, statement in statements()
        if "s3:GetObject" in ensure_list(statement["Action"]) and results in ensure_list(statement["Resource"])
    ]

    assert readers == ["StoreTranscriptRole"]


def test_no_resource_of_a_statement_is_wider_than_one_buckets_prefix() -> None:
    for role, statement in statements():
        if statement == START_JOBS:
            continue
        for resource in ensure_list(statement["Resource"]):
            text = json.dumps(resource)
            assert "*" not in text or text in PREFIXES or resource == {"Fn::Sub": JOBS}, role


def test_no_role_has_a_managed_policy() -> None:
    """AWS's own policies for Lambda allow every log group, every queue of the account, or a VPC that is not there."""
    assert not [
        role for role, properties in resources_of("AWS::IAM::Role").items() if "ManagedPolicyArns" in properties
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_writes_its_own_logs_only(name: str) -> None:
    [logs] = [
        statement for role, statement in statements() if role == role_of(name) and "logs:" in str(statement["Action"])
    ]

    assert set(logs["Action"]) == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert [logs["Resource"]] == [{"Fn::GetAtt": [function(name)["LoggingConfig"]["LogGroup"]["Ref"], "Arn"]}]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_add_the_rights_that_they_need_and_no_others(name: str) -> None:
    usual = statements_of(name)
    with_key = [statement for statement in statements_of(name, {"HasKmsKey"}) if statement not in usual]
    in_vpc = [statement for statement in statements_of(name, {"InVpc"}) if statement not in usual]

    assert [statement["Resource"] for statement in with_key] == [{"Ref": "KmsKeyArn"}]
    assert all(action.startswith("kms:") for statement in with_key for action in statement["Action"])
    # EC2 offers no narrower resource for joining a VPC: the one statement for every resource.
    assert [statement["Resource"] for statement in in_vpc] == (["*"] if "VpcConfig" in function(name) else [])
    assert all(action.startswith("ec2:") for statement in in_vpc for action in statement["Action"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_reads_and_writes_items_of_its_own_kinds_only(name: str) -> None:
    """`ForAllValues` is true for a request without keys, so that `Null` has to refuse it."""
    for statement in statements_of(name):
        actions = ensure_list(statement["Action"])
        if not all(action.startswith("dynamodb:") for action in actions) or actions == ["dynamodb:Query"]:
            continue
        if statement["Resource"] == {"Fn::GetAtt": ["StateTable", "StreamArn"]}:
            # A stream has the items of all kinds. The mapping's filter chooses those of the function.
            assert name == "PublishChanges"
            continue
        patterns = leading_keys(statement) or ()
        assert patterns, statement["Sid"]
        assert all(re.fullmatch(r"[A-Z_]+#([a-z_]+#)?\*", pattern) for pattern in patterns)
        assert statement["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"}


def test_only_a_person_may_write_the_items_of_api_keys() -> None:
    for name in FUNCTIONS:
        for statement in statements_of(name):
            if "CLIENT#*" in (leading_keys(statement) or ()):
                assert ensure_list(statement["Action"]) == ["dynamodb:GetItem"], name


def test_every_function_has_its_own_role_and_every_statement_a_sid() -> None:
    roles = [function(name)["Role"]["Fn::GetAtt"][0] for name in FUNCTIONS]
    sids = [statement["Sid"] for name in FUNCTIONS for statement in statements_of(name)]

    assert len(set(roles)) == len(FUNCTIONS)
    assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


def test_no_role_may_delete_from_or_scan_a_table() -> None:
    forbidden = {"dynamodb:Scan", "dynamodb:DeleteTable", "dynamodb:BatchWriteItem"}

    assert not [role for role, statement in statements() if forbidden & set(ensure_list(statement["Action"]))]


def test_only_subscriptions_and_owed_posts_may_be_deleted() -> None:
    deleted = {
        name: leading_keys(statement)
        for name in FUNCTIONS
        for statement in statements_of(name)
        if "dynamodb:DeleteItem" in ensure_list(statement["Action"])
    }

    assert deleted == {
        "ManageSubscriptions": ("HOOK#*", "HOOKS#*", "HOOKS_OF#*"),
        "DeliverChanges": ("HOOK#*", "HOOKED#*"),
    }


def secrets_of(name: str) -> set[str]:
    """Return the names of the secrets that a function may read."""
    names = set()
    for statement in statements_of(name):
        if "secretsmanager:GetSecretValue" in ensure_list(statement["Action"]):
            for resource in ensure_list(statement["Resource"]):
                # Only the six characters that Secrets Manager adds to a name are wildcards.
                names |= set(re.findall(r":secret:(\$\{AWS::StackName\}/[a-z_/-]+)-\?{6}$", resource["Fn::Sub"]))
                assert resource["Fn::Sub"].count("?") == 6
                assert "*" not in resource["Fn::Sub"]
    return names


READERS: Final = {
    "CodeKeysSecret": {"StartVerification", "CheckVerification", "MediasmsDeliveryWebhook", "SendQueuedSms"},
    "MediaSmsSecret": SENDERS,
    "BaiduVmsSecret": {"PlaceCall"},
    "BiztelSecret": {"FetchRecording"},
    "RecognizerSecret": {"StartTranscription", "StoreTranscript"},
    "MediasmsDeliveryTokensSecret": {"MediasmsDeliveryWebhook"},
    "MediasmsIvrTokensSecret": {"MediasmsIvrWebhook"},
    "BiztelTokensSecret": {"BiztelCallActionWebhook"},
    "BaiduVmsTokensSecret": {"BaiduVmsWebhook"},
    "WebhookSigningSecret": {"ManageSubscriptions", "DeliverChanges"},
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_reads_the_secrets_that_it_needs_and_no_others(name: str) -> None:
    secrets = resources_of("AWS::SecretsManager::Secret")

    assert set(secrets) == set(READERS)
    assert secrets_of(name) == {
        secrets[secret]["Name"]["Fn::Sub"] for secret, readers in READERS.items() if name in readers
    }


@pytest.mark.parametrize(
    ("webhook", "secret"),
    [(function, secret) for secret, [*functions] in READERS.items() for function in functions if "Tokens" in secret],
)
def test_a_webhook_gets_the_name_of_its_own_list_of_tokens(webhook: str, secret: str) -> None:
    name = resources_of("AWS::SecretsManager::Secret")[secret]["Name"]

    assert environment_of(webhook)["WEBHOOK_TOKENS_SECRET_NAME"] == name


@pytest.mark.parametrize(
    ("webhook", "further"),
    [
        # It asks for the call of a verification whose SMS does not arrive.
        pytest.param("MediasmsDeliveryWebhook", {"sqs:SendMessage"}, id="MediasmsDeliveryWebhook"),
        pytest.param("BaiduVmsWebhook", set(), id="BaiduVmsWebhook"),
    ],
)
def test_a_webhook_may_write_facts_and_read_no_order(webhook: str, further: set[str]) -> None:
    writes = {"dynamodb:UpdateItem", "s3:PutObject", "secretsmanager:GetSecretValue"}

    assert actions_of(webhook) == writes | further


@pytest.mark.parametrize("webhook", ["MediasmsDeliveryWebhook", "MediasmsIvrWebhook", "BaiduVmsWebhook"])
def test_a_webhook_may_spool_events_and_quarantine_callbacks(webhook: str) -> None:
    writes = [statement for statement in statements_of(webhook) if "s3:PutObject" in ensure_list(statement["Action"])]

    assert {resource["Fn::Sub"] for statement in writes for resource in ensure_list(statement["Resource"])} == {
        "${QuarantineBucket.Arn}/quarantine/*",
        "${QuarantineBucket.Arn}/spool/*",
    }


def test_only_the_sweep_may_read_and_remove_spooled_events() -> None:
    spool = json.dumps({"Fn::Sub": "${QuarantineBucket.Arn}/spool/*"})
    readers = {
        name
        for name in FUNCTIONS
        for statement in statements_of(name)
        if {"s3:GetObject", "s3:DeleteObject"} & set(ensure_list(statement["Action"]))
        and spool in {json.dumps(resource) for resource in ensure_list(statement["Resource"])}
    }

    assert readers == {"SweepOverdue"}


def test_the_call_action_webhook_may_add_and_compare_jobs_and_nothing_else() -> None:
    assert actions_of("BiztelCallActionWebhook") == {
        "s3:PutObject",
        "s3:GetObject",
        "s3:ListBucket",
        "secretsmanager:GetSecretValue",
    }
    resources = {json.dumps(r) for s in statements_of("BiztelCallActionWebhook") for r in ensure_list(s["Resource"])}
    assert not [resource for resource in resources if "Table" in resource or "RecordingsBucket" in resource]


def test_the_query_function_may_change_nothing() -> None:
    assert actions_of("Query") <= {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}


def test_a_recording_query_may_read_files_and_a_correction_may_add_facts() -> None:
    read_only = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "s3:GetObject", "s3:ListBucket"}

    assert actions_of("QueryRecordings") <= read_only
    assert actions_of("CorrectRecordingRoles") == {
        "dynamodb:GetItem",
        "dynamodb:UpdateItem",
        "s3:GetObject",
        "s3:ListBucket",
    }


def test_the_status_function_may_change_nothing_and_read_no_message() -> None:
    queries = [statement for statement in statements_of("QueryStatus") if "dynamodb:Query" in statement["Action"]]

    assert actions_of("QueryStatus") == {"dynamodb:GetItem", "dynamodb:Query", "sqs:GetQueueAttributes"}
    assert [statement["Resource"] for statement in queries] == [{"Fn::Sub": "${StateTable.Arn}/index/by_due"}]

"""Every role may do what its function does, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

from tests.translated_template import (
    as_list,
    function,
    function_folders,
    resources_of,
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
        ("JobsBucket", "jobs"),
        ("JobsBucket", "bulk"),
        ("RecordingsBucket", "recordings"),
    )
}
LAMBDAS_OWN_POLICIES: Final = {
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole",
    "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole",
}


def test_no_role_may_do_everything_or_anything_everywhere() -> None:
    for role, statement in statements():
        actions, places = as_list(statement["Action"]), as_list(statement["Resource"])
        assert not [each for each in actions if "*" in each], role
        assert "*" not in places, role
        assert "NotAction" not in statement
        assert "NotResource" not in statement


def test_no_place_in_a_statement_is_wider_than_a_prefix_of_one_bucket() -> None:
    for role, statement in statements():
        for place in as_list(statement["Resource"]):
            text = json.dumps(place)
            assert "*" not in text or text in PREFIXES, role


def test_managed_policies_are_only_those_that_lambda_itself_needs() -> None:
    for role, properties in resources_of("AWS::IAM::Role").items():
        assert set(properties.get("ManagedPolicyArns", [])) <= LAMBDAS_OWN_POLICIES, role


def test_every_function_has_a_role_of_its_own_and_every_statement_a_name() -> None:
    roles = [function(name)["Role"]["Fn::GetAtt"][0] for name in FUNCTIONS]

    assert len(set(roles)) == len(FUNCTIONS)
    assert all(re.fullmatch("[A-Za-z0-9]+", each["Sid"]) for name in FUNCTIONS for each in statements_of(name))


def test_nobody_may_delete_from_or_scan_a_table() -> None:
    forbidden = {"dynamodb:Scan", "dynamodb:DeleteItem", "dynamodb:DeleteTable", "dynamodb:BatchWriteItem"}

    assert not [role for role, each in statements() if forbidden & set(as_list(each["Action"]))]


def test_each_secret_is_read_by_those_who_need_it_and_by_nobody_else() -> None:
    readers: dict[str, set[str]] = {}
    for name in FUNCTIONS:
        for statement in statements_of(name):
            if "secretsmanager:GetSecretValue" in as_list(statement["Action"]):
                # Six characters that Secrets Manager adds to a name are all that is left open.
                [secret] = re.findall(
                    r":secret:(\$\{AWS::StackName\}/[a-z_-]+)-\?{6}$", statement["Resource"]["Fn::Sub"]
                )
                readers.setdefault(secret, set()).add(name)

    secrets = resources_of("AWS::SecretsManager::Secret")
    names = {name: properties["Name"]["Fn::Sub"] for name, properties in secrets.items()}
    assert readers == {
        names["MediaSmsSecret"]: SENDERS,
        names["WebhookTokensSecret"]: {
            "MediasmsDeliveryWebhook",
            "MediasmsIvrWebhook",
            "BaiduVmsWebhook",
            "BiztelCallActionWebhook",
        },
        names["BaiduVmsSecret"]: {"PlaceCall"},
        names["BiztelSecret"]: {"FetchRecording"},
    }


@pytest.mark.parametrize("webhook", ["MediasmsDeliveryWebhook", "BaiduVmsWebhook"])
def test_a_webhook_can_write_facts_and_read_nothing_of_any_message(webhook: str) -> None:
    actions = {action for each in statements_of(webhook) for action in as_list(each["Action"])}

    assert actions == {"dynamodb:UpdateItem", "s3:PutObject", "secretsmanager:GetSecretValue"}


@pytest.mark.parametrize("webhook", ["MediasmsDeliveryWebhook", "MediasmsIvrWebhook", "BaiduVmsWebhook"])
def test_a_webhook_can_hold_what_the_table_does_not_take_and_keep_what_nobody_can_read(webhook: str) -> None:
    kept = [each for each in statements_of(webhook) if "s3:PutObject" in as_list(each["Action"])]

    assert {place["Fn::Sub"] for each in kept for place in as_list(each["Resource"])} == {
        "${QuarantineBucket.Arn}/quarantine/*",
        "${QuarantineBucket.Arn}/spool/*",
    }


def test_the_sweep_alone_can_read_and_let_go_of_what_is_held() -> None:
    held = json.dumps({"Fn::Sub": "${QuarantineBucket.Arn}/spool/*"})
    readers = {
        name
        for name in FUNCTIONS
        for each in statements_of(name)
        if {"s3:GetObject", "s3:DeleteObject"} & set(as_list(each["Action"]))
        and held in {json.dumps(place) for place in as_list(each["Resource"])}
    }

    assert readers == {"SweepOverdue"}


def test_the_call_actions_webhook_can_add_jobs_and_read_nothing() -> None:
    actions = {action for each in statements_of("BiztelCallActionWebhook") for action in as_list(each["Action"])}

    assert actions == {"s3:PutObject", "secretsmanager:GetSecretValue"}


def test_the_query_function_can_change_nothing() -> None:
    actions = {action for each in statements_of("Query") for action in as_list(each["Action"])}

    assert actions <= {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}


def test_whoever_shows_recordings_can_read_files_and_whoever_corrects_them_can_add_facts() -> None:
    shown = {action for each in statements_of("QueryRecordings") for action in as_list(each["Action"])}
    corrected = {action for each in statements_of("CorrectRecordingRoles") for action in as_list(each["Action"])}

    assert shown <= {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "s3:GetObject"}
    assert corrected == {"dynamodb:UpdateItem", "s3:GetObject"}


def test_the_status_function_can_change_nothing_and_read_no_message() -> None:
    actions = {action for each in statements_of("QueryStatus") for action in as_list(each["Action"])}
    tables = [each["Resource"] for each in statements_of("QueryStatus") if "dynamodb:Query" in each["Action"]]

    assert actions == {"dynamodb:GetItem", "dynamodb:Query", "sqs:GetQueueAttributes"}
    assert tables == [{"Fn::Sub": "${StateTable.Arn}/index/by_due"}]

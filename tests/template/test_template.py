"""Code and template agree, and what the template describes can be created and run."""

from __future__ import annotations

import json
import re
from graphlib import TopologicalSorter
from typing import Final

import pytest

from switchboard import config
from switchboard.bootstrap.send_queued_sms import CONTAINERS_A_QUEUE
from switchboard.usecases.sms import send_queued as send_queued_sms
from tests.events import EVENTS
from tests.translated_template import (
    ROOT,
    as_list,
    environment_of,
    function,
    function_folders,
    operations,
    references_in,
    resources_of,
    source,
    statements_of,
    translated,
)

POWERTOOLS: Final = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
FUNCTIONS: Final = sorted(function_folders())
SENDERS: Final = {"SendSms", "SendQueuedSms", "StartVerification", "PlaceCall", "FetchRecording"}
RECORDINGS: Final = {"BiztelCallActionWebhook", "QueryRecordings", "CorrectRecordingRoles"}
"""What of the recordings is behind the gateway."""
SETTINGS: Final = {
    name.removesuffix("Settings").lower(): each for name, each in vars(config).items() if name.endswith("Settings")
}


def test_every_function_has_a_folder_and_sample_events_and_every_folder_a_function() -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/app.py")}

    assert set(function_folders().values()) == folders
    assert {path.name for path in EVENTS.iterdir()} == folders


def test_a_functions_logical_id_is_its_folders_name() -> None:
    assert all(
        name == "".join(part.title() for part in folder.split("_")) for name, folder in function_folders().items()
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_environment_is_what_its_settings_read(name: str) -> None:
    assert set(environment_of(name)) == SETTINGS[name.lower()].variables() | POWERTOOLS


def test_every_parameter_is_used() -> None:
    used = set(references_in({key: source()[key] for key in ("Globals", "Resources", "Conditions", "Outputs")}))

    assert set(source()["Parameters"]) - used == set()


def test_every_parameter_has_a_default_so_that_a_first_deployment_asks_for_nothing() -> None:
    assert [name for name, each in source()["Parameters"].items() if "Default" not in each] == []


def test_resources_depend_on_each_other_without_a_cycle() -> None:
    resources = translated()["Resources"]
    graph = {
        name: ({*references_in(each), *as_list(each.get("DependsOn", []))} & set(resources)) - {name}
        for name, each in resources.items()
    }

    assert set(TopologicalSorter(graph).static_order()) == set(resources)


def test_nothing_refers_to_what_does_not_exist() -> None:
    known = {*translated()["Resources"], *translated()["Parameters"]}
    mentioned = {each for each in references_in(translated()) if not each.startswith("AWS::")}

    assert mentioned <= known


def test_a_batch_is_not_delivered_again_while_it_is_still_worked_on() -> None:
    for mapping in resources_of("AWS::Lambda::EventSourceMapping").values():
        queue = resources_of("AWS::SQS::Queue")[mapping["EventSourceArn"]["Fn::GetAtt"][0]]
        timeout = function(mapping["FunctionName"]["Ref"])["Timeout"]
        assert queue["VisibilityTimeout"] >= 6 * timeout
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_places_in_flight_are_shared_out_to_as_many_containers_as_there_may_be() -> None:
    mappings = [
        each
        for each in resources_of("AWS::Lambda::EventSourceMapping").values()
        if each["FunctionName"]["Ref"] == "SendQueuedSms"
    ]

    assert {each["ScalingConfig"]["MaximumConcurrency"] for each in mappings} == {CONTAINERS_A_QUEUE}


def test_poison_ends_in_a_queue_that_keeps_it_longest_and_is_watched() -> None:
    queues = resources_of("AWS::SQS::Queue")
    graves = {
        each["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for each in queues.values()
        if "RedrivePolicy" in each
    }

    assert len(graves) == 2
    watched = [json.dumps(each["Dimensions"]) for each in resources_of("AWS::CloudWatch::Alarm").values()]
    for dead in graves:
        assert queues[dead]["MessageRetentionPeriod"] == 1_209_600
        assert any(f'"{dead}"' in each for each in watched)


def test_what_the_worker_writes_starts_nothing() -> None:
    """The one bucket that starts anything takes nothing from whom it starts. (I23)"""
    buckets = resources_of("AWS::S3::Bucket")
    starting = {name for name, each in buckets.items() if "NotificationConfiguration" in each}
    written = {
        name
        for each in statements_of("FetchRecording")
        if "s3:PutObject" in as_list(each["Action"])
        for name in references_in(each["Resource"])
    }

    assert starting == {"JobsBucket"}
    assert written == {"RecordingsBucket", "QuarantineBucket"}


def test_the_jobs_bucket_tells_the_queue_that_takes_news_from_it_alone() -> None:
    bucket = resources_of("AWS::S3::Bucket")["JobsBucket"]
    [policy] = resources_of("AWS::SQS::QueuePolicy").values()
    [statement] = policy["PolicyDocument"]["Statement"]

    told = bucket["NotificationConfiguration"]["QueueConfigurations"]
    assert {each["Filter"]["S3Key"]["Rules"][0]["Value"] for each in told} == {"jobs/", "bulk/"}
    assert {json.dumps(each["Queue"]) for each in told} == {json.dumps({"Fn::GetAtt": ["RecordingQueue", "Arn"]})}
    name = bucket["BucketName"]["Fn::Sub"]
    source = statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source == f"arn:${{AWS::Partition}}:s3:::{name}"
    assert statement["Resource"] == {"Fn::GetAtt": ["RecordingQueue", "Arn"]}


def test_queues_are_encrypted() -> None:
    assert all(each["SqsManagedSseEnabled"] is True for each in resources_of("AWS::SQS::Queue").values())


def test_every_function_behind_the_gateway_ends_before_the_gateway_does() -> None:
    behind = {
        re.findall(r"\$\{(\w+)\.Arn\}", each["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"])[0]
        for each in operations().values()
    }

    assert behind == {
        "SendSms",
        "SendSmsBatch",
        "Query",
        "QueryStatus",
        "MediasmsDeliveryWebhook",
        "StartVerification",
        "CheckVerification",
        "MediasmsIvrWebhook",
        "PlaceCall",
        "BaiduVmsWebhook",
        *RECORDINGS,
    }
    assert all(function(name)["Timeout"] < 29 for name in behind)


def test_who_speaks_to_a_provider_leaves_by_the_fixed_address_where_there_is_one() -> None:
    for name in FUNCTIONS:
        if name not in SENDERS:
            assert "VpcConfig" not in function(name), name
            continue
        condition, inside, outside = function(name)["VpcConfig"]["Fn::If"]
        assert condition == "InVpc"
        assert inside == {"SubnetIds": {"Ref": "SubnetIds"}, "SecurityGroupIds": {"Ref": "SecurityGroupIds"}}
        assert outside == {"Ref": "AWS::NoValue"}


def test_names_that_must_be_unique_in_an_account_carry_the_stacks_name() -> None:
    """Two stacks in one account and region must not collide."""
    fixed = {
        f"{name}.{key}"
        for name, resource in translated()["Resources"].items()
        for key in ("Name", "FunctionName", "TableName", "BucketName", "QueueName", "LogGroupName", "RoleName")
        if isinstance(resource.get("Properties", {}).get(key), str) and resource["Type"] != "AWS::Lambda::LayerVersion"
    }

    assert fixed == set()


def test_sweep_and_watch_run_every_minute_and_a_failed_round_is_not_repeated() -> None:
    schedules = resources_of("AWS::Scheduler::Schedule").values()

    assert sorted(each["Target"]["Arn"]["Fn::GetAtt"][0] for each in schedules) == ["SweepOverdue", "WatchLimits"]
    for schedule in schedules:
        assert schedule["ScheduleExpression"] == "rate(1 minute)"
        assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0}


def test_no_output_has_a_parameters_name() -> None:
    """`sam build` resolves an output's own name like a reference, and fails where that is a list."""
    assert set(source()["Outputs"]) & set(source()["Parameters"]) == set()


def test_a_message_that_could_not_be_sent_always_rests() -> None:
    """Without a rest it would be tried, and each try written into its item, as fast as its queue delivers."""
    assert source()["Parameters"]["RequeueDelaySeconds"]["MinValue"] >= 1


def test_whoever_sends_waits_for_a_slot_at_all() -> None:
    """The queue's worker has no other patience than a caller: without any, nothing would ever be sent."""
    assert source()["Parameters"]["SlotWaitBudgetSeconds"]["MinValue"] >= 1


def test_a_message_that_rests_is_not_taken_for_a_lost_one() -> None:
    assert source()["Parameters"]["RequeueMinutes"]["MinValue"] * 60 > send_queued_sms.LONGEST_DELAY_S


@pytest.mark.parametrize("name", ["QueueValidityHours", "DeliveryWindowHours", "RetentionDays"])
def test_no_deadline_has_passed_when_it_begins(name: str) -> None:
    assert source()["Parameters"][name]["MinValue"] >= 1

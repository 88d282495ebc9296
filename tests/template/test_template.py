"""Code and template agree, and the template's resources can be created and run."""

from __future__ import annotations

import json
import re
from graphlib import TopologicalSorter
from typing import Final

import pytest

from switchboard import config
from switchboard.bootstrap.send_queued_sms import CONTAINERS_A_QUEUE
from switchboard.storage.aws import CONNECT_TIMEOUT_S
from switchboard.usecases.sms import send_queued as send_queued_sms
from tests.events import EVENTS
from tests.translated_template import (
    ROOT,
    Properties,
    ensure_list,
    environment_of,
    function,
    function_folders,
    operations,
    references_in,
    resolve_references,
    resources_of,
    source,
    statements_of,
    translate_template,
)

POWERTOOLS: Final = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
FUNCTIONS: Final = sorted(function_folders())
SENDERS: Final = {"SendSms", "SendQueuedSms", "StartVerification", "PlaceCall", "FetchRecording"}
BEHIND_THE_GATEWAY: Final = {
    "ManageSubscriptions",
    "SendSms",
    "SendSmsBatch",
    "CancelSms",
    "Suppressions",
    "Query",
    "QueryStatus",
    "MediasmsDeliveryWebhook",
    "StartVerification",
    "CheckVerification",
    "CancelVerification",
    "MediasmsIvrWebhook",
    "PlaceCall",
    "BaiduVmsWebhook",
    "BiztelCallActionWebhook",
    "QueryRecordings",
    "CorrectRecordingRoles",
}
LONGEST_REFERENCE: Final = 160
"""The characters of a reference to a resource. The URL of a queue is the longest one and has at most 134."""
SETTINGS: Final = {
    name.removesuffix("Settings").lower(): settings
    for name, settings in vars(config).items()
    if name.endswith("Settings")
}


def event_source_mappings() -> list[Properties]:
    """Return the properties of every mapping from a queue to a function."""
    mappings = resources_of("AWS::Lambda::EventSourceMapping").values()
    return [mapping for mapping in mappings if mapping["EventSourceArn"]["Fn::GetAtt"][1] == "Arn"]


def minimum_of(parameter: str) -> int:
    """Return the smallest value that a parameter may have."""
    minimum: int = source()["Parameters"][parameter]["MinValue"]
    return minimum


def test_every_function_has_a_folder_and_sample_events() -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/app.py")}

    assert set(function_folders().values()) == folders
    assert {path.name for path in EVENTS.iterdir()} == folders


def test_a_functions_logical_id_is_its_folders_name() -> None:
    assert all(
        name == "".join(part.title() for part in folder.split("_")) for name, folder in function_folders().items()
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_environment_has_the_variables_of_its_settings(name: str) -> None:
    assert set(environment_of(name)) == SETTINGS[name.lower()].variables() | POWERTOOLS


def test_every_parameter_is_used() -> None:
    references = set(references_in({key: source()[key] for key in ("Globals", "Resources", "Conditions", "Outputs")}))

    assert set(source()["Parameters"]) - references == set()


def test_every_parameter_has_a_default_for_a_first_deployment() -> None:
    parameters = source()["Parameters"].items()

    assert [name for name, parameter in parameters if "Default" not in parameter] == []


def test_every_parameter_has_a_description() -> None:
    parameters = source()["Parameters"].items()

    assert [name for name, parameter in parameters if not parameter.get("Description")] == []


def test_resources_depend_on_each_other_without_a_cycle() -> None:
    resources = translate_template()["Resources"]
    graph = {
        name: ({*references_in(resource), *ensure_list(resource.get("DependsOn", []))} & set(resources)) - {name}
        for name, resource in resources.items()
    }

    assert set(TopologicalSorter(graph).static_order()) == set(resources)


def test_every_reference_leads_to_a_resource_or_a_parameter() -> None:
    targets = {*translate_template()["Resources"], *translate_template()["Parameters"]}
    references = {name for name in references_in(translate_template()) if not name.startswith("AWS::")}

    assert references <= targets


def test_a_queue_delivers_no_batch_again_while_its_worker_may_run() -> None:
    for mapping in event_source_mappings():
        queue = resources_of("AWS::SQS::Queue")[mapping["EventSourceArn"]["Fn::GetAtt"][0]]
        timeout = function(mapping["FunctionName"]["Ref"])["Timeout"]
        assert queue["VisibilityTimeout"] >= 6 * timeout
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_a_function_that_fills_its_own_queue_is_not_ended_as_a_loop() -> None:
    fillers = set()
    for mapping in event_source_mappings():
        queue, name = mapping["EventSourceArn"]["Fn::GetAtt"][0], mapping["FunctionName"]["Ref"]
        if any(
            "sqs:SendMessage" in ensure_list(statement["Action"]) and queue in references_in(statement["Resource"])
            for statement in statements_of(name)
        ):
            fillers.add(name)

    allowed = {name for name in FUNCTIONS if function(name).get("RecursiveLoop") == "Allow"}
    assert allowed == fillers


def test_each_sms_queue_has_as_many_containers_as_the_worker_expects() -> None:
    mappings = [mapping for mapping in event_source_mappings() if mapping["FunctionName"]["Ref"] == "SendQueuedSms"]

    assert {mapping["ScalingConfig"]["MaximumConcurrency"] for mapping in mappings} == {CONTAINERS_A_QUEUE}


def test_a_dead_letter_queue_keeps_its_entries_longest_and_has_an_alarm() -> None:
    queues = resources_of("AWS::SQS::Queue")
    dead_letter_queues = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }

    assert len(dead_letter_queues) == 5
    dimensions = [json.dumps(alarm.get("Dimensions")) for alarm in resources_of("AWS::CloudWatch::Alarm").values()]
    for name in dead_letter_queues:
        assert queues[name]["MessageRetentionPeriod"] == 1_209_600
        assert any(f'"{name}"' in dimension for dimension in dimensions)


def test_the_recording_worker_writes_into_no_bucket_that_starts_it() -> None:
    """The only bucket that starts a function is never written by that function. (I23)"""
    buckets = resources_of("AWS::S3::Bucket")
    starting = {name for name, bucket in buckets.items() if "NotificationConfiguration" in bucket}
    written = {
        name
        for statement in statements_of("FetchRecording")
        if "s3:PutObject" in ensure_list(statement["Action"])
        for name in references_in(statement["Resource"])
    }

    assert starting == {"JobsBucket"}
    assert written == {"RecordingsBucket", "QuarantineBucket"}


def test_the_jobs_bucket_alone_may_notify_the_recording_queues() -> None:
    bucket = resources_of("AWS::S3::Bucket")["JobsBucket"]
    configurations = bucket["NotificationConfiguration"]["QueueConfigurations"]
    queues = {
        configuration["Filter"]["S3Key"]["Rules"][0]["Value"]: configuration["Queue"]["Fn::GetAtt"][0]
        for configuration in configurations
    }

    assert queues == {"jobs/": "RecordingQueue", "bulk/": "RecordingQueue", "backlog/": "RecordingBacklogQueue"}
    name = bucket["BucketName"]["Fn::Sub"]
    permitted = set()
    for policy in resources_of("AWS::SQS::QueuePolicy").values():
        allowed = [
            rule
            for rule in policy["PolicyDocument"]["Statement"]
            if rule["Effect"] == "Allow" and rule["Principal"] == {"Service": "s3.amazonaws.com"}
        ]
        if not allowed:
            continue
        [statement] = allowed
        source_arn = statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
        assert source_arn == f"arn:${{AWS::Partition}}:s3:::{name}"
        assert policy["Queues"] == [{"Ref": statement["Resource"]["Fn::GetAtt"][0]}]
        permitted.add(statement["Resource"]["Fn::GetAtt"][0])
    assert permitted == set(queues.values())


def test_the_rule_of_our_own_jobs_alone_may_fill_the_events_queue() -> None:
    [rule] = resources_of("AWS::Events::Rule").values()
    [statement] = [
        statement
        for policy in resources_of("AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and statement["Principal"] == {"Service": "events.amazonaws.com"}
    ]

    assert rule["EventPattern"]["detail"]["TranscriptionJobName"] == [{"prefix": {"Fn::Sub": "${AWS::StackName}."}}]
    assert [target["Arn"] for target in rule["Targets"]] == [statement["Resource"]]
    assert statement["Resource"] == {"Fn::GetAtt": ["TranscriptionEventsQueue", "Arn"]}
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["TranscriptionEventsRule", "Arn"]}}
    }


def test_a_function_behind_the_gateway_times_out_before_the_gateway() -> None:
    integrations = [operation["x-amazon-apigateway-integration"] for operation in operations().values()]
    functions = {re.findall(r"\$\{(\w+)\.Arn\}", integration["uri"]["Fn::Sub"])[0] for integration in integrations}

    assert functions == BEHIND_THE_GATEWAY
    assert all(function(name)["Timeout"] < 29 for name in functions)


@pytest.mark.parametrize("name", ["SendSms", "StartVerification", "PlaceCall"])
def test_a_submission_begun_as_late_as_may_be_ends_before_its_function(name: str) -> None:
    largest = {name: str(values["MaxValue"]) for name, values in source()["Parameters"].items() if "MaxValue" in values}
    values = {
        variable: float(value)
        for variable, value in resolve_references(
            {key: value for key, value in environment_of(name).items() if key.endswith("_S")}, references=largest
        ).items()
    }
    call_of_the_store = CONNECT_TIMEOUT_S + values["STORE_TIMEOUT_S"]
    read_of_the_key, write_of_the_outcome = 2 * call_of_the_store, call_of_the_store
    provider = values.get("PROVIDER_TIMEOUT_S") or values["BAIDU_VMS_RETRY_BUDGET_S"] + values["BAIDU_VMS_TIMEOUT_S"]

    assert values["SLOT_WAIT_BUDGET_S"] <= values["CLAIM_LIFETIME_S"]
    longest = read_of_the_key + values["CLAIM_LIFETIME_S"] + provider + write_of_the_outcome
    assert longest <= function(name)["Timeout"] - 1


def test_a_function_that_calls_a_provider_is_in_the_vpc_if_there_is_one() -> None:
    for name in FUNCTIONS:
        if name not in SENDERS:
            assert "VpcConfig" not in function(name), name
            continue
        condition, inside, outside = function(name)["VpcConfig"]["Fn::If"]
        assert condition == "InVpc"
        assert inside == {"SubnetIds": {"Ref": "SubnetIds"}, "SecurityGroupIds": {"Ref": "SecurityGroupIds"}}
        assert outside == {"Ref": "AWS::NoValue"}


def test_two_stacks_in_one_account_share_no_name() -> None:
    fixed = {
        f"{name}.{key}"
        for name, resource in translate_template()["Resources"].items()
        for key in ("Name", "FunctionName", "TableName", "BucketName", "QueueName", "LogGroupName", "RoleName")
        if isinstance(resource.get("Properties", {}).get(key), str) and resource["Type"] != "AWS::Lambda::LayerVersion"
    }

    assert fixed == set()


def test_sweep_and_watch_run_every_minute_without_retries() -> None:
    schedules = resources_of("AWS::Scheduler::Schedule").values()

    assert sorted(schedule["Target"]["Arn"]["Fn::GetAtt"][0] for schedule in schedules) == [
        "SweepOverdue",
        "WatchLimits",
    ]
    for schedule in schedules:
        assert schedule["ScheduleExpression"] == "rate(1 minute)"
        assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0}


def test_no_output_has_the_name_of_a_parameter() -> None:
    """`sam build` resolves an output's name like a reference, and fails if the parameter is a list."""
    assert set(source()["Outputs"]) & set(source()["Parameters"]) == set()


def test_a_message_that_could_not_be_sent_waits_before_the_next_attempt() -> None:
    """Without a delay the worker would try it, and write each attempt, as fast as the queue delivers."""
    assert minimum_of("RequeueDelaySeconds") >= 1


def test_a_sender_waits_for_a_slot_at_least_a_second() -> None:
    """The queue's worker has the same budget as a caller: with none, no message would ever be sent."""
    assert minimum_of("SlotWaitBudgetSeconds") >= 1


def test_the_sweep_requeues_no_message_that_waits_for_its_next_attempt() -> None:
    assert minimum_of("RequeueMinutes") * 60 > send_queued_sms.LONGEST_DELAY_S


@pytest.mark.parametrize("name", ["QueueValidityHours", "DeliveryWindowHours", "RetentionDays"])
def test_a_deadline_is_later_than_its_beginning(name: str) -> None:
    assert minimum_of(name) >= 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_environment_stays_under_the_4_kb_of_lambda(name: str) -> None:
    resources = dict.fromkeys(translate_template()["Resources"], "x" * LONGEST_REFERENCE)

    environment = resolve_references(environment_of(name), references=resources)

    assert len(json.dumps(environment, separators=(",", ":")).encode()) < 4096

"""Runs all functions on moto, with the tables, queues, secrets and environment variables of the template."""

from __future__ import annotations

import copy
import gc
import importlib.util
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from threading import Condition
from typing import Any, Final, cast

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from moto import mock_aws
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

import tests.moto_speed  # noqa: F401 - for its effect
from sandbox.simulators import baidu_vms
from sandbox.simulators.biztel import BiztelSimulator
from sandbox.simulators.biztel import SimulatorConfig as BiztelConfig
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator
from switchboard.domain.api_keys import Scope
from switchboard.edge import observability
from switchboard.storage import aws
from tests.events import Event
from tests.permissions import only_permitted_calls
from tests.translated_template import (
    REGION,
    ROOT,
    environment_of,
    function_folders,
    resolve_references,
    resources_of,
)

USER: Final = "acme-user"
PASSWORD: Final = "a-password-that-opens-nothing-real"
ACCESS_KEY: Final = "anAccessKeyThatOpensNothingReal"
SECRET_KEY: Final = "aSecretKeyThatOpensNothingReal"
API_ID: Final = "abc123defg"
"""The id of the REST API in the sample events."""
SIGNING_MASTER: Final = "a-signing-master-that-signs-nothing-real"
API_TOKEN: Final = "an-api-token-that-opens-nothing-real"
CODE_KEY: Final = "a-code-key-that-derives-nothing-real"
TOKEN: Final = "a-webhook-token-that-opens-nothing-real"
"""The token in the sample events' paths. Each webhook's list holds it, unless a test replaces the lists."""
WEBHOOK_SECRETS: Final[Mapping[str, str]] = {
    "mediasms_delivery_webhook": "MediasmsDeliveryTokensSecret",
    "mediasms_ivr_webhook": "MediasmsIvrTokensSecret",
    "biztel_call_action_webhook": "BiztelTokensSecret",
    "baidu_vms_webhook": "BaiduVmsTokensSecret",
}
"""The logical id of the secret with the tokens of each webhook's function."""

_USUAL: Final[Mapping[str, str]] = {
    "Profile": "sandbox",
    "DefaultLines": "050-0000-0001,050-0000-0002",
    # Most tests send to the same number many times.
    "RecipientLimitPerMinute": "0",
    "RecipientLimitPerHour": "0",
    "RecipientLimitPerDay": "0",
    # The tests of API keys give each key its own scopes.
    "DefaultScopes": ",".join(Scope),
    "BaiduVmsCallbackCallIdNames": "callId",
    "BaiduVmsCallbackResultNames": "result",
    # The receivers of tests run on loopback.
    "AllowLoopbackWebhooks": "true",
}
_TABLE_PROPERTIES: Final = (
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "BillingMode",
    "StreamSpecification",
)


_SERVICES: Final[Mapping[str, str]] = {
    "dynamodb": REGION,
    "events": REGION,
    "s3": "aws",
    "secretsmanager": REGION,
    "sqs": REGION,
}
"""The services that hold the template's resources, with the name of moto's region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """The answer of a handler to API Gateway."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The problem's code, None if the answer is no problem."""
        return self.json["code"] if self.headers["Content-Type"] == "application/problem+json" else None


@dataclass(frozen=True, slots=True)
class _Context:
    function_name: str
    memory_limit_in_mb: int = 512
    aws_request_id: str = "00000000-0000-4000-8000-00000000000f"

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One account with the stack in it, and the providers on loopback."""

    references: Mapping[str, str]
    simulator: MediaSmsSimulator
    baidu_vms: baidu_vms.BaiduVmsSimulator
    biztel: BiztelSimulator
    output: io.StringIO = field(default_factory=io.StringIO)

    def invoke(self, function: str, event: Event) -> Any:
        """Invoke a function as Lambda does: in the environment of this function and no other."""
        with self._container(function):
            handler = _load_handler(function)
            with only_permitted_calls(_find_logical_id(function), self._tables):
                return handler(event, cast("LambdaContext", _Context(function)))

    def initialise(self, function: str) -> None:
        """Import a function as the init phase does, before any event."""
        with self._container(function):
            _load_handler(function)

    @contextmanager
    def _container(self, function: str) -> Iterator[None]:
        environment = resolve_references(environment_of(_find_logical_id(function)), references=self.references)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(self.output):
            for name, value in environment.items():
                patch.setenv(name, value)
            _capture_logs(self.output, namespace=environment["POWERTOOLS_METRICS_NAMESPACE"])
            observability.metrics.service = environment["POWERTOOLS_SERVICE_NAME"]
            yield

    @property
    def _tables(self) -> dict[str, str]:
        return {self.references[table]: table for table in resources_of("AWS::DynamoDB::Table")}

    def http(self, function: str, event: Event) -> HttpAnswer:
        """Invoke a function as API Gateway does, which accepts only an answer of this form."""
        reply = self.invoke(function, event)
        json.dumps(reply, ensure_ascii=False).encode()
        assert set(reply) == {"statusCode", "headers", "body", "isBase64Encoded"}
        assert reply["isBase64Encoded"] is False
        return HttpAnswer(status=reply["statusCode"], headers=reply["headers"], body=reply["body"])

    def cold_start(self) -> None:
        """Run the next invocations in new containers."""
        cold_start()

    def rows(self, table: str = "StateTable") -> list[dict[str, Any]]:
        """Return every item of a table."""
        return cast("list[dict[str, Any]]", aws.dynamodb().scan(TableName=self.references[table])["Items"])

    def objects(self, prefix: str = "", *, bucket: str = "QuarantineBucket") -> list[dict[str, Any]]:
        """Return every JSON object of a bucket, decoded."""
        bucket = self.references[bucket]
        entries = aws.s3().list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return [json.load(aws.s3().get_object(Bucket=bucket, Key=entry["Key"])["Body"]) for entry in entries]

    def queued(self, queue: str = "OutboxQueue") -> list[str]:
        """Return the bodies of up to ten entries of a queue that may be received now."""
        queue = self.references[queue]
        received = aws.sqs().receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in received.get("Messages", [])]

    def put_secret(self, logical_id: str, value: object) -> None:
        """Put in a new version of a secret; a text stays as it is."""
        text = value if isinstance(value, str) else json.dumps(value)
        aws.secretsmanager().put_secret_value(SecretId=self.references[logical_id], SecretString=text)

    def lose_secret(self, logical_id: str) -> None:
        """Let a secret give no answer from now on."""
        aws.secretsmanager().delete_secret(SecretId=self.references[logical_id], ForceDeleteWithoutRecovery=True)

    def lose_table(self, table: str = "StateTable") -> None:
        """Let a table give no answer from now on."""
        aws.dynamodb().delete_table(TableName=self.references[table])

    def restore_table(self, rows: Sequence[dict[str, Any]]) -> None:
        """Bring the state table back with these rows in it."""
        table = _create_table("StateTable", self.references["StateTable"])
        for row in rows:
            aws.dynamodb().put_item(TableName=table, Item=row)

    def lose_bucket(self, bucket: str = "QuarantineBucket") -> None:
        """Let an empty bucket give no answer from now on."""
        aws.s3().delete_bucket(Bucket=self.references[bucket])

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines for CloudWatch Logs, metrics among them."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]

    def metrics(self) -> list[tuple[str, frozenset[tuple[str, str]]]]:
        """Return the metrics that were written, each with its dimensions."""
        metrics = []
        for line in self.logged():
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                assert directive["Namespace"] == "Switchboard"
                for names in directive["Dimensions"]:
                    dimensions = frozenset((name, line[name]) for name in names)
                    metrics += [(metric["Name"], dimensions) for metric in directive["Metrics"]]
        return metrics


@contextmanager
def deployed(**parameters: str) -> Iterator[Deployment]:
    """Create the template's resources on moto with these parameters, and remove them at the end."""
    config = SimulatorConfig(user=USER, password=PASSWORD)
    keys = baidu_vms.SimulatorConfig(access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    with (
        pytest.MonkeyPatch.context() as patch,
        mock_aws(),
        _simulators(
            MediaSmsSimulator(config, reports_by_hand=True),
            baidu_vms.BaiduVmsSimulator(keys, callbacks_by_hand=True),
            BiztelSimulator(BiztelConfig(token=API_TOKEN)),
        ) as (simulator, baidu, biztel),
    ):
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        # Garbage collection then skips all objects that exist by now, which makes a cold start fast.
        gc.freeze()
        # Each application adds hooks to the clients that it uses.
        forget_aws_clients()
        cold_start()
        references = {
            **_USUAL,
            "MediaSmsBaseUrl": simulator.url,
            "BaiduVmsBaseUrl": baidu.url,
            "BiztelBaseUrl": biztel.url,
            "Api": API_ID,
            **parameters,
        }
        deployment = Deployment(
            references={**references, **_put_resources()}, simulator=simulator, baidu_vms=baidu, biztel=biztel
        )
        yield deployment
        cold_start()


def _find_logical_id(function: str) -> str:
    [logical_id] = [name for name, folder in function_folders().items() if folder == function]
    return logical_id


def forget_aws_clients() -> None:
    """Forget the AWS clients, but not the session, which has read the models of all services."""
    aws._build_client.cache_clear()


def cold_start() -> None:
    """Forget the applications that a container keeps, but not its AWS clients, which take long to build."""
    with warnings.catch_warnings():
        # A container that ends closes nothing either.
        warnings.simplefilter("ignore", ResourceWarning)
        for name, module in sys.modules.items():
            for build in ("application", "api_keys"):
                if name.startswith("switchboard.bootstrap.") and hasattr(module, build):
                    getattr(module, build).cache_clear()
        gc.collect()


@contextmanager
def _simulators(
    mediasms: MediaSmsSimulator, baidu: baidu_vms.BaiduVmsSimulator, biztel: BiztelSimulator
) -> Iterator[tuple[MediaSmsSimulator, baidu_vms.BaiduVmsSimulator, BiztelSimulator]]:
    """Start the simulators, and stop them at the same time, since each waits for its thread."""
    simulators = (mediasms, baidu, biztel)
    try:
        for simulator in simulators:
            simulator.start()
        yield simulators
    finally:
        with ThreadPoolExecutor(len(simulators)) as pool:
            for stopped in [pool.submit(simulator.stop) for simulator in simulators]:
                stopped.result()


def _put_resources() -> Mapping[str, str]:
    """Put what the functions' environments refer to into moto; return each resource's `Ref` by logical id.

    Each process creates the resources once. Later tests get copies.
    """
    references, states = _create_once()
    for service, state in states.items():
        vars(_backend(service)).update(_copy(state))
    return references


@cache
def _create_once() -> tuple[Mapping[str, str], Mapping[str, Mapping[str, Any]]]:
    references = _create_resources()
    return references, {service: _copy(vars(_backend(service))) for service in _SERVICES}


def _backend(service: str) -> Any:
    return get_backend(service)[DEFAULT_ACCOUNT_ID][_SERVICES[service]]  # type: ignore[call-overload]


def _copy(state: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what moto keeps of one service, with new locks for its queues."""
    locks = [value for queue in state.get("queues", {}).values() for value in vars(queue).values()]
    return copy.deepcopy(dict(state), {id(lock): Condition() for lock in locks if isinstance(lock, Condition)})


def _create_resources() -> dict[str, str]:
    """Create what the functions' environments refer to; return each resource's `Ref` by logical id."""
    references = {}
    for name in resources_of("AWS::DynamoDB::Table"):
        references[name] = _create_table(name, f"switchboard-{name}")
    for name in resources_of("AWS::SQS::Queue"):
        references[name] = aws.sqs().create_queue(QueueName=f"switchboard-{name}")["QueueUrl"]
    for name in resources_of("AWS::Events::EventBus"):
        references[name] = f"switchboard-{name}"
        aws.events().create_event_bus(Name=references[name])
    for name in resources_of("AWS::S3::Bucket"):
        references[name] = f"switchboard-{name.lower()}"
        aws.s3().create_bucket(Bucket=references[name], CreateBucketConfiguration={"LocationConstraint": REGION})
    values: Mapping[str, object] = {
        "CodeKeysSecret": {"current": "1", "1": CODE_KEY},
        "MediaSmsSecret": {"user": USER, "password": PASSWORD},
        "BiztelSecret": {"token": API_TOKEN},
        "RecognizerSecret": {"token": API_TOKEN},
        **{secret: {"tokens": [TOKEN]} for secret in WEBHOOK_SECRETS.values()},
        "WebhookSigningSecret": {"current": "1", "1": SIGNING_MASTER},
        "BaiduVmsSecret": {"ak": ACCESS_KEY, "sk": SECRET_KEY},
    }
    for name, properties in resources_of("AWS::SecretsManager::Secret").items():
        created = aws.secretsmanager().create_secret(
            Name=resolve_references({"Name": properties["Name"]}, references={})["Name"],
            SecretString=json.dumps(values[name]),
        )
        references[name] = created["ARN"]
    return references


def _create_table(logical_id: str, name: str) -> str:
    properties = resources_of("AWS::DynamoDB::Table")[logical_id]
    shape: dict[str, Any] = {key: properties[key] for key in _TABLE_PROPERTIES if key in properties}
    if "StreamSpecification" in shape:
        shape["StreamSpecification"] = {"StreamEnabled": True, **shape["StreamSpecification"]}
    aws.dynamodb().create_table(TableName=name, **shape)
    return name


def _load_handler(function: str) -> Any:
    """Run the handler's module anew: its decorators set what all metrics of a process share."""
    observability.metrics.clear_default_dimensions()
    observability.metrics.clear_metrics()
    path = ROOT / "functions" / function / "app.py"
    spec = importlib.util.spec_from_file_location(f"function_{function}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lambda_handler


def _capture_logs(output: io.StringIO, *, namespace: str) -> None:
    """Write to `output` what Lambda sends to the log group: log lines, metrics and the warnings of libraries."""
    observability.metrics.namespace = namespace
    handler = observability.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(output)

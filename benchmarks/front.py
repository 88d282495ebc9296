"""One HTTP port for moto's AWS and for a provider that accepts every SMS, with a count of all operations."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from tests.translated_template import REGION

PROVIDER_PATH: Final = "/sms/api/"
_SERVICES: Final = {"DynamoDB_20120810": "dynamodb", "secretsmanager": "secretsmanager", "AmazonSQS": "sqs"}
# A conditional write of DynamoDB is one step, and moto checks the condition in another step than it writes.
_one_at_a_time: Final = Lock()


class Front(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1. `counts` has entries such as `dynamodb UpdateItem <table>`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RequestHandler)
        self.counts: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """The address that clients connect to."""
        return f"http://127.0.0.1:{self.server_port}"


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Front

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == PROVIDER_PATH:
            self.server.counts["provider POST"] += 1
            self._reply(200, b"200", "text/html")
            return
        prefix, _, operation = self.headers["X-Amz-Target"].partition(".")
        service, parameters = _SERVICES[prefix], json.loads(body)
        self.server.counts[" ".join(filter(None, (service, operation, parameters.get("TableName"))))] += 1
        with _one_at_a_time:
            status, result = _call_service(service, operation, parameters)
        self._reply(status, json.dumps(result, default=_to_timestamp).encode(), "application/x-amz-json-1.0")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Log nothing, so that standard error stays readable."""

    def _reply(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


@cache
def _get_client(service: str) -> Any:
    build: Any = boto3.Session(region_name=REGION).client
    return build(service)


def _call_service(service: str, operation: str, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    try:
        result: dict[str, Any] = getattr(_get_client(service), method)(**parameters)
    except ClientError as error:
        failure = {"__type": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
        rest = {name: value for name, value in error.response.items() if name not in {"Error", "ResponseMetadata"}}
        return 400, {**failure, **rest}
    return 200, {name: value for name, value in result.items() if name != "ResponseMetadata"}


def _to_timestamp(value: Any) -> float:
    return float(value.timestamp())

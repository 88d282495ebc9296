"""Answers call actions briefly, and so that a pattern over the answer tells success from failure.

BIZTEL judges an answer by patterns that its customer writes. Its document does not say whether a status other than 2xx
is an error by itself. Therefore every answer that reports a failure has `"result":"error"`, always in the same bytes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.edge.endpoint import Endpoint, Handler, http_endpoint
from switchboard.edge.http import Reply

_JSON: Final = {"Content-Type": "application/json"}


def accepted_reply() -> Reply:
    """Answer a call action whose job is durable, now or since an earlier call action."""
    return Reply(HTTPStatus.OK, _compact({"result": "accepted"}), _JSON)


def refused_reply(code: str) -> Reply:
    """Answer a call action that names nothing to fetch, once its raw form is in quarantine.

    `code` says why, in stable snake_case.
    """
    return Reply(HTTPStatus.BAD_REQUEST, _compact({"result": "error", "code": code}), _JSON)


def call_action_endpoint(endpoint: Endpoint) -> Handler:
    """Make a handler like `http_endpoint`, which adds a `result` to problems."""
    handle = http_endpoint(endpoint)

    @functools.wraps(endpoint)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        reply = handle(event, context)
        if reply["headers"]["Content-Type"] != "application/problem+json":
            return reply
        return {**reply, "body": _compact({"result": "error", **json.loads(reply["body"])})}

    return handler


def _compact(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))

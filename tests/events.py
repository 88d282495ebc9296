"""Loads the sample events under `events/`: one file a case, as API Gateway, SQS and the scheduler send them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

EVENTS: Final = Path(__file__).parent.parent / "events"

Event = dict[str, Any]


def load_event(function: str, case: str, **changes: Any) -> Event:
    """Load `events/<function>/<case>.json` with some top-level members replaced.

    A `body` of bytes becomes base64, as API Gateway does it; a `body` that is a mapping becomes JSON first.
    """
    event: Event = json.loads((EVENTS / function / f"{case}.json").read_text(encoding="utf-8"))
    body = changes.pop("body", None)
    if isinstance(body, Mapping):
        body = json.dumps(body, ensure_ascii=False).encode()
    if isinstance(body, bytes):
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    elif body is not None:
        event |= {"body": body, "isBase64Encoded": False}
    return event | changes


def cases_of(function: str) -> list[str]:
    """Return the names of a function's sample events."""
    return sorted(path.stem for path in (EVENTS / function).glob("*.json"))


def with_headers(event: Event, headers: Mapping[str, str]) -> Event:
    """Add headers in both places in which API Gateway puts them."""
    return event | {
        "headers": {**(event["headers"] or {}), **headers},
        "multiValueHeaders": {
            **(event["multiValueHeaders"] or {}),
            **{name: [value] for name, value in headers.items()},
        },
    }


def with_query(event: Event, *pairs: tuple[str, str]) -> Event:
    """Replace the query. The last value of a name that is given twice counts as its single value."""
    values_by_name: dict[str, list[str]] = {}
    for name, value in pairs:
        values_by_name.setdefault(name, []).append(value)
    return event | {
        "queryStringParameters": {name: values[-1] for name, values in values_by_name.items()} or None,
        "multiValueQueryStringParameters": values_by_name or None,
    }


def of_client(event: Event, key_id: str) -> Event:
    """Make the event a request of another API key."""
    context = event["requestContext"]
    return event | {"requestContext": {**context, "identity": {**context["identity"], "apiKeyId": key_id}}}

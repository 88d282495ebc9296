"""The sample events under `events/`, one file a case, as API Gateway, SQS and the scheduler send them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

EVENTS: Final = Path(__file__).parent.parent / "events"

Event = dict[str, Any]


def load_event(function: str, case: str, **changes: Any) -> Event:
    """`events/<function>/<case>.json` with top-level members replaced.

    A `body` given as bytes is put in as API Gateway does it, in base64; given as a mapping, as JSON.
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
    """The names of a function's sample events."""
    return sorted(path.stem for path in (EVENTS / function).glob("*.json"))


def with_headers(event: Event, headers: Mapping[str, str]) -> Event:
    """The event with these headers added, in both of the places where a gateway puts them."""
    return event | {
        "headers": {**(event["headers"] or {}), **headers},
        "multiValueHeaders": {
            **(event["multiValueHeaders"] or {}),
            **{name: [value] for name, value in headers.items()},
        },
    }


def with_query(event: Event, *pairs: tuple[str, str]) -> Event:
    """The event with exactly this query; of a name given twice the last value counts as the single one."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return event | {
        "queryStringParameters": {name: given[-1] for name, given in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
    }


def of_client(event: Event, key_id: str) -> Event:
    """The event as another API key's."""
    context = event["requestContext"]
    return event | {"requestContext": {**context, "identity": {**context["identity"], "apiKeyId": key_id}}}

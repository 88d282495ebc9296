"""Write the JSON schemas of change events, `docs/events/*.json`, from the resources of docs/openapi.yaml.

Usage: python tools/event_schemas.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "events"

RESOURCES: Final = {
    "SmsChanged": "Sms",
    "VerificationChanged": "Verification",
    "VoiceCallChanged": "Call",
    "RecordingChanged": "Recording",
    "ProviderCircuitChanged": None,
}
"""The component of docs/openapi.yaml that each type of event has as `data`."""
_ERASED_IDS: Final = ("smsid", "verification_id", "token", "recording_id")
_EXPIRING: Final = {"url", "url_expires_at"}
_PREFIX: Final = "#/components/schemas/"
_INSTANT: Final = {
    "type": "string",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$",
}
_CIRCUIT: Final = {
    "type": "object",
    "required": ["provider", "state", "reason", "sequence", "changed_at"],
    "additionalProperties": False,
    "properties": {
        "provider": {"type": "string", "enum": ["mediasms", "biztel", "baidu_vms"]},
        "state": {"type": "string", "enum": ["open", "closed"]},
        "reason": {
            "type": ["string", "null"],
            "description": "`authentication` after too many 401s, or the code that blocked the address.",
        },
        "sequence": {"type": "integer", "minimum": 1},
        "changed_at": _INSTANT,
    },
}


def build_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of the detail of each type of event."""
    components = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text(encoding="utf-8"))["components"]["schemas"]
    schemas = {}
    for detail_type, name in RESOURCES.items():
        definitions: dict[str, Any] = {}
        data = _CIRCUIT if name is None else _adapt({"$ref": f"{_PREFIX}{name}"}, components, definitions)
        schemas[detail_type] = _detail(detail_type, data, definitions)
    erased = {"oneOf": [{"required": [name]} for name in _ERASED_IDS], "type": "object", "maxProperties": 1}
    schemas["Erased"] = _detail("Erased", erased, {})
    return schemas


def _detail(title: str, data: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "required": ["version", "id", "sequence", "previous", "at", "client", "data"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": 1},
            "id": {
                "type": "string",
                "description": "One id always has the same `data`. The same event may come again.",
            },
            "sequence": {
                "type": "integer",
                "minimum": 1,
                "description": "That of `data`. Drop an event with a lower one.",
            },
            "previous": {
                "type": ["integer", "null"],
                "description": "The sequence before this change. null after a repair or a republication.",
            },
            "at": {**_INSTANT, "description": "The time of the newest fact in `data`."},
            "client": {"type": ["string", "null"], "description": "null for recordings and circuits."},
            "data": dict(data),
        },
    }
    return schema | {"$defs": dict(definitions)} if definitions else schema


def _adapt(node: Any, components: Mapping[str, Any], definitions: dict[str, Any]) -> Any:
    """Copy a part of the OpenAPI document, and put what it refers to into `definitions`."""
    match node:
        case {"$ref": str(reference), **rest}:
            name = reference.removeprefix(_PREFIX)
            if name not in definitions:
                definitions[name] = None
                definitions[name] = _adapt(_without_expiring_links(components[name]), components, definitions)
            return {"$ref": f"#/$defs/{name}", **rest}
        case dict():
            return {key: _adapt(value, components, definitions) for key, value in node.items() if key != "example"}
        case list():
            return [_adapt(element, components, definitions) for element in node]
    return node


def _without_expiring_links(component: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the members of a component that say where something is for a while, and until when."""
    if set(component.get("properties", {})) >= _EXPIRING:
        return {
            **component,
            "required": [name for name in component["required"] if name not in _EXPIRING],
            "properties": {name: part for name, part in component["properties"].items() if name not in _EXPIRING},
        }
    return component


def file_name(detail_type: str) -> str:
    """Return the name of a schema's file: `SmsChanged` is in `sms_changed.json`."""
    letters = (f"_{letter.lower()}" if letter.isupper() else letter for letter in detail_type)
    return "".join(letters).lstrip("_") + ".json"


def main() -> None:
    """Write all schemas."""
    for detail_type, schema in build_schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (FOLDER / file_name(detail_type)).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Compares a function's calls to DynamoDB with the permissions of its role in the template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

import pytest
from botocore.client import BaseClient

from tests.translated_template import ensure_list, statements_of

_TRANSACTION_ACTIONS: Final = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}

Access = tuple[str, str, str | None]
"""An action, a table's logical id with an index's name if there is one, and the key of one item."""


@contextmanager
def only_permitted_calls(function: str, tables: Mapping[str, str]) -> Iterator[None]:
    """Fail at the end of the block if its code made calls to DynamoDB that the function's role does not allow.

    Args:
        function: the function's logical id.
        tables: the logical id of each table by its name.
    """
    breaches: list[Access] = []
    make_call: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            breaches.extend(
                access for access in _accesses(operation, parameters, tables) if not _is_allowed(function, access)
            )
        return make_call(client, operation, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", call)
        yield
    assert breaches == []


def _accesses(operation: str, parameters: Mapping[str, Any], tables: Mapping[str, str]) -> Iterator[Access]:
    match operation:
        case "BatchGetItem":
            for table, request in parameters["RequestItems"].items():
                yield from (("dynamodb:BatchGetItem", tables[table], key["pk"]["S"]) for key in request["Keys"])
        case "TransactWriteItems":
            for item in parameters["TransactItems"]:
                [(kind, write)] = item.items()
                key = write.get("Key") or write["Item"]
                yield _TRANSACTION_ACTIONS[kind], tables[write["TableName"]], key["pk"]["S"]
        case "TransactGetItems":
            for item in parameters["TransactItems"]:
                yield "dynamodb:GetItem", tables[item["Get"]["TableName"]], item["Get"]["Key"]["pk"]["S"]
        case "Query":
            yield "dynamodb:Query", f"{tables[parameters['TableName']]}/index/{parameters['IndexName']}", None
        case _:
            key = parameters.get("Key") or parameters["Item"]
            yield f"dynamodb:{operation}", tables[parameters["TableName"]], key["pk"]["S"]


def _is_allowed(function: str, access: Access) -> bool:
    action, resource, key = access
    return any(
        action in actions
        and resource in resources
        and (patterns is None or (key is not None and any(fnmatchcase(key, pattern) for pattern in patterns)))
        for actions, resources, patterns in _dynamodb_permissions(function)
    )


@cache
def _dynamodb_permissions(function: str) -> list[tuple[frozenset[str], frozenset[str], tuple[str, ...] | None]]:
    """Return the actions, resources and patterns of keys of each statement. None stands for any key."""
    permissions = []
    for statement in statements_of(function):
        resources = frozenset(_name_table(resource) for resource in ensure_list(statement["Resource"]))
        patterns = leading_keys(statement)
        permissions.append((frozenset(ensure_list(statement["Action"])), resources, patterns))
    return permissions


def leading_keys(statement: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the patterns of the keys to which a statement is restricted, or None if it is not."""
    condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
    patterns = condition.get("dynamodb:LeadingKeys")
    return None if patterns is None else tuple(patterns)


def _name_table(resource: Any) -> str:
    """Return a table's logical id, with `/index/` and the index's name for an index. `*` names no table."""
    if isinstance(resource, str):
        return resource
    if "Fn::GetAtt" in resource:
        return str(resource["Fn::GetAtt"][0])
    return str(resource.get("Fn::Sub", "")).replace("${", "").replace(".Arn}", "")

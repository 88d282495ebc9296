"""What all lists over the StateTable's indexes share: the items behind their entries, and their positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]

_BATCH_GET_LIMIT: Final = 100
# An instant as RFC 3339 with milliseconds, and a hash sign; the id follows.
_INSTANT_LENGTH: Final = 24


def items_under(client: DynamoDBClient, table: str, keys: Iterable[Item], *, operation: str) -> list[Item]:
    """The items there are under these keys, read consistently. Raises StoreUnavailableError."""
    found: list[Item] = []
    pending: list[Any] = list(keys)
    while pending:
        batch, pending = pending[:_BATCH_GET_LIMIT], pending[_BATCH_GET_LIMIT:]
        with store_errors(operation):
            answer = client.batch_get_item(RequestItems={table: {"Keys": batch, "ConsistentRead": True}})
        found += answer["Responses"].get(table, [])
        unread = answer.get("UnprocessedKeys", {}).get(table)
        pending += list(unread["Keys"]) if unread else []
    return found


def items_behind(client: DynamoDBClient, table: str, entries: Iterable[Item], *, operation: str) -> list[Item]:
    """The items behind an index' entries, in the entries' order. Raises StoreUnavailableError."""
    keys = [{"pk": entry["pk"]} for entry in entries]
    found = {item["pk"]["S"]: item for item in items_under(client, table, keys, operation=operation)}
    return [found[key["pk"]["S"]] for key in keys if key["pk"]["S"] in found]


def id_in(position: str) -> str:
    """The id in a list position."""
    return position[_INSTANT_LENGTH + 1 :]


def check_position(position: str, *, lowest: str, highest: str, is_id: Callable[[str], bool]) -> None:
    """An index takes only positions of its own shape and within the range asked for. Raises InvalidRequestError."""
    instant, hash_sign = position[:_INSTANT_LENGTH], position[_INSTANT_LENGTH : _INSTANT_LENGTH + 1]
    try:
        handed_out = to_rfc3339(from_rfc3339(instant)) == instant and hash_sign == "#"
    except (ValueError, OverflowError):
        handed_out = False
    if not (handed_out and is_id(id_in(position)) and lowest <= position < highest):
        raise InvalidRequestError(FieldProblem("cursor", "is not one that was handed out here", code="invalid_cursor"))

"""Read the StateTable's indexes: pages of lists, overdue items, and the items behind index entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from switchboard.domain.errors import FieldProblem, InvalidRequestError, StoreUnavailableError, UnreadableItemError
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.ports.listing import ListingQuery, Page, UnreadableItem
from switchboard.storage.aws import store_errors
from switchboard.storage.items import Item, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

BY_CLIENT, BY_RECIPIENT, BY_DUE = "by_client", "by_recipient", "by_due"
_BATCH_GET_LIMIT: Final = 100
# Every list position begins with the digits of a year and sorts between these two.
_LOWEST, _HIGHEST = "0", "~"


@dataclass(frozen=True, slots=True)
class ListPartition:
    """One partition of an index by which items are listed: the index, its key attribute, and that attribute's value."""

    index: str
    attribute: str
    value: str

    @classmethod
    def by_client(cls, value: str) -> ListPartition:
        """Return the partition of the items whose `list_partition` is `value`."""
        return cls(BY_CLIENT, "list_partition", value)

    @classmethod
    def by_recipient(cls, value: str) -> ListPartition:
        """Return the partition of the items whose `recipient_partition` is `value`."""
        return cls(BY_RECIPIENT, "recipient_partition", value)


def list_items(
    client: DynamoDBClient,
    table: str,
    query: ListingQuery,
    *,
    partition: ListPartition,
    pk_of: Callable[[str], str],
    is_id: Callable[[str], bool],
    noun: str,
) -> Page[Item]:
    """Return one page of the partition's items, highest `list_position` first.

    Args:
        client: DynamoDB.
        table: the StateTable's name.
        query: what to list. Its `recipient` is not read: `partition` stands for it.
        partition: the partition to read.
        pk_of: gives the table's key for an item's id.
        is_id: tells whether a text can be the id of such an item.
        noun: the plural of the items' kind, for error texts.

    Raises:
        InvalidRequestError: the query's position is not one that this list returned.
        StoreUnavailableError: DynamoDB did not answer.
    """
    lowest = to_rfc3339(query.since) if query.since else _LOWEST
    highest = to_rfc3339(query.until) if query.until else _HIGHEST
    start: dict[str, Any] = {}
    if query.position is not None:
        item_id = _parse_position(query.position, lowest=lowest, highest=highest, is_id=is_id)
        start["ExclusiveStartKey"] = to_attributes(
            {"pk": pk_of(item_id), partition.attribute: partition.value, "list_position": query.position}
        )
    if lowest >= highest:
        return Page(items=(), next_position=None)
    with store_errors(f"find {noun}"):
        response = client.query(
            TableName=table,
            IndexName=partition.index,
            KeyConditionExpression="#partition = :partition AND list_position BETWEEN :since AND :until",
            ExpressionAttributeNames={"#partition": partition.attribute},
            ExpressionAttributeValues=to_attributes(
                {":partition": partition.value, ":since": lowest, ":until": highest}
            ),
            Limit=query.limit,
            ScanIndexForward=False,
            **start,
        )
    last_key = response.get("LastEvaluatedKey")
    return Page(
        items=_get_indexed_items(client, table, response["Items"], noun=noun),
        next_position=last_key["list_position"]["S"] if last_key else None,
    )


def overdue_in_shards(
    client: DynamoDBClient, table: str, shards: Sequence[str], *, now: datetime, limit: int, noun: str
) -> Iterator[Item]:
    """Yield what `overdue_items` yields of each shard, one after the other.

    The first shard changes from second to second, so that neither a long one nor sweeps side by side keep the others
    waiting. A shard that does not answer, which may be throttled alone, hinders no other one.

    Raises:
        StoreUnavailableError: DynamoDB did not answer for one shard, once all others were read, or for two shards.
    """
    failure: StoreUnavailableError | None = None
    first = int(now.timestamp()) % len(shards)
    for pending in (*shards[first:], *shards[:first]):
        try:
            yield from overdue_items(client, table, pending=pending, now=now, limit=limit, noun=noun)
        except StoreUnavailableError as error:
            if failure is not None:
                raise
            failure = error
    if failure is not None:
        raise failure


def overdue_items(
    client: DynamoDBClient,
    table: str,
    *,
    pending: str,
    now: datetime,
    limit: int,
    noun: str,
    newest_first: bool = False,
) -> Iterator[Item]:
    """Yield the items of the `pending` partition that are due by `now`, in pages of `limit`.

    The longest overdue item is first, or last with `newest_first`. The next page is read only when the caller asks for
    it, so that items which stay overdue do not hide the others. The index may lag behind: an item that is no longer
    due, or pending for another reason, is left out.

    Raises:
        StoreUnavailableError: DynamoDB did not answer.
    """
    latest = to_rfc3339(now)
    start: dict[str, Any] = {}
    while True:
        with store_errors(f"find overdue {noun}"):
            response = client.query(
                TableName=table,
                IndexName=BY_DUE,
                KeyConditionExpression="pending = :pending AND due <= :now",
                ExpressionAttributeValues=to_attributes({":pending": pending, ":now": latest}),
                Limit=limit,
                ScanIndexForward=not newest_first,
                **start,
            )
        for item in _get_indexed_items(client, table, response["Items"], noun=noun):
            if item.get("pending", {}).get("S") == pending and item.get("due", {}).get("S", _HIGHEST) <= latest:
                yield item
        if not (last_key := response.get("LastEvaluatedKey")):
            return
        start = {"ExclusiveStartKey": last_key}


def convert_items(items: Iterable[Item], convert: Callable[[Item], T | None]) -> Iterator[T | UnreadableItem]:
    """Convert each item by itself. An item that cannot be read hinders no other one; None is left out."""
    for item in items:
        try:
            converted = convert(item)
        except UnreadableItemError:
            yield UnreadableItem(item["pk"]["S"])
            continue
        if converted is not None:
            yield converted


def convert_page(page: Page[Item], convert: Callable[[Item], T | None]) -> Page[T]:
    """Convert the items of one page of a list, without those that cannot be read."""
    converted = list(convert_items(page.items, convert))
    items = [item for item in converted if not isinstance(item, UnreadableItem)]
    return Page(items=items, next_position=page.next_position, unreadable=len(converted) - len(items))


def get_items(client: DynamoDBClient, table: str, keys: Iterable[Item], *, operation: str) -> list[Item]:
    """Return the items that exist under these keys, read consistently, in any order.

    Raises:
        StoreUnavailableError: DynamoDB did not answer.
    """
    items: list[Item] = []
    unread: list[Any] = list(keys)
    while unread:
        batch, unread = unread[:_BATCH_GET_LIMIT], unread[_BATCH_GET_LIMIT:]
        with store_errors(operation):
            response = client.batch_get_item(RequestItems={table: {"Keys": batch, "ConsistentRead": True}})
        items += response["Responses"].get(table, [])
        unprocessed = response.get("UnprocessedKeys", {}).get(table)
        unread += list(unprocessed["Keys"]) if unprocessed else []
    return items


def read_together(client: DynamoDBClient, table: str, keys: Iterable[Item]) -> list[Item | None]:
    """Return the items under these keys as they were at one instant, in the keys' order; None if there is none.

    Raises:
        StoreUnavailableError: DynamoDB did not answer, or one of the items was just being written.
    """
    gets: Any = [{"Get": {"TableName": table, "Key": key}} for key in keys]
    with store_errors("read items together"):
        response = client.transact_get_items(TransactItems=gets)
    return [answer.get("Item") for answer in response["Responses"]]


def _get_indexed_items(client: DynamoDBClient, table: str, entries: Iterable[Item], *, noun: str) -> list[Item]:
    """Return the items behind index entries, read consistently, in the entries' order."""
    keys = [{"pk": entry["pk"]} for entry in entries]
    items = {item["pk"]["S"]: item for item in get_items(client, table, keys, operation=f"fetch {noun}")}
    return [items[key["pk"]["S"]] for key in keys if key["pk"]["S"] in items]


def _parse_position(position: str, *, lowest: str, highest: str, is_id: Callable[[str], bool]) -> str:
    """Return the id in a list position.

    An index takes only positions of its own form and within the queried range.

    Raises:
        InvalidRequestError: the position has another form or is outside that range.
    """
    instant, separator, item_id = position.partition("#")
    try:
        has_instant = to_rfc3339(from_rfc3339(instant)) == instant
    except (ValueError, OverflowError):
        has_instant = False
    if not (has_instant and separator and is_id(item_id) and lowest <= position < highest):
        raise InvalidRequestError(FieldProblem("cursor", "is not a cursor of this list", code="invalid_cursor"))
    return item_id

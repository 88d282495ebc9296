"""Subscriptions and owed posts in the StateTable, the hooks' queue, and the derivation of secrets.

``HOOK#id`` is a subscription, ``HOOKS#client`` a client's list, ``HOOKS_OF#kind`` the list of a kind that belongs to no
client, and ``HOOKED#id#kind#item`` a mark. None of them is an item whose changes are published.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from switchboard.domain.errors import (
    ConfigurationError,
    StoreUnavailableError,
    SubscriptionLimitError,
)
from switchboard.domain.subscription.queue_entries import HookEntry, entry_to_json
from switchboard.domain.subscription.signatures import derive_secret
from switchboard.domain.subscription.subscriptions import (
    KINDS,
    MAX_SUBSCRIPTIONS,
    SHARED_KINDS,
    ChangedItem,
    DisabledReason,
    Generation,
    OwedPost,
    Subscription,
)
from switchboard.domain.timestamps import from_optional_rfc3339, from_rfc3339, to_rfc3339
from switchboard.ports.listing import UnreadableItem
from switchboard.ports.subscriptions import HookQueue
from switchboard.storage.aws import (
    CONDITION_FAILED,
    CachedSecret,
    cancellation_reasons,
    conditional_update,
    error_code,
    store_errors,
)
from switchboard.storage.items import (
    Item,
    decoding_errors,
    expiry,
    from_attributes,
    pending_partition,
    pending_partitions,
    to_attributes,
)
from switchboard.storage.orders.indexes import BY_DUE, convert_items, get_items, overdue_in_shards

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

_HOOK: Final = "hook"
_MAX_SHARED: Final = 500
"""The subscriptions of the whole deployment to one kind of event that belongs to no client."""
_MARK_RETENTION: Final = timedelta(days=30)
_LIST_MAX_AGE_S: Final = 5.0
_MAX_CACHED_LISTS: Final = 1_000
_SQS_BATCH: Final = 10
_SAME_SETTINGS: Final = "updated_at = :read"
"""The condition that the settings are those that were read. What posts record does not count."""
_TEXTS: Final = ("client", "key_id", "url", "description", "last_problem", "revision")


class DynamoDbSubscriptionStore:
    """A SubscriptionStore over the state table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def create(self, subscription: Subscription) -> None:
        pk = _hook_pk(subscription.id)
        item = to_attributes({"pk": pk, "created_at": to_rfc3339(subscription.created_at)} | _settings_of(subscription))
        put = {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}
        enter = [self._enter(key, limit, subscription) for key, limit in _lists_of(subscription)]
        self._write("create subscription", [put, *enter])

    def get(self, subscription_id: str) -> Subscription | None:
        with store_errors("read subscription"):
            response = self._client.get_item(TableName=self._table, Key=_hook_key(subscription_id), ConsistentRead=True)
        item = response.get("Item")
        return None if item is None else _to_subscription(item)

    def of_client(self, client: str) -> list[Subscription]:
        ids = read_list(self._client, self._table, f"HOOKS#{client}")
        keys = [_hook_key(subscription_id) for subscription_id in ids]
        items = get_items(self._client, self._table, keys, operation="read subscriptions")
        return sorted(map(_to_subscription, items), key=lambda found: (found.created_at, found.id))

    def change(self, before: Subscription, after: Subscription) -> bool:
        values = _settings_of(after)
        if _delivery_of(before) != _delivery_of(after):
            values |= _delivery_of(after)
        update = _to_update(values, absent=[name for name, value in values.items() if value is None])
        write = {
            "TableName": self._table,
            "Key": _hook_key(after.id),
            **update,
            "ConditionExpression": _same_as(before),
        }
        write["ExpressionAttributeValues"] |= _read_at(before)
        if before.disabled is not None:
            write["ExpressionAttributeValues"] |= to_attributes({":read_disabled": before.disabled.value})
        left = dict(_lists_of(before)).keys() - dict(_lists_of(after)).keys()
        entered = [
            self._enter(key, limit, after, known=key in dict(_lists_of(before))) for key, limit in _lists_of(after)
        ]
        leave = [self._leave(key, after) for key in left]
        return self._write("change subscription", [{"Update": write}, *entered, *leave])

    def delete(self, subscription: Subscription) -> bool:
        delete = {
            "Delete": {
                "TableName": self._table,
                "Key": _hook_key(subscription.id),
                "ExpressionAttributeValues": _read_at(subscription),
                "ConditionExpression": _SAME_SETTINGS,
            }
        }
        leave = [self._leave(key, subscription) for key, _ in _lists_of(subscription)]
        return self._write("delete subscription", [delete, *leave])

    def mark_of(self, subscription_id: str, item: ChangedItem) -> OwedPost | None:
        with store_errors("read owed post"):
            response = self._client.get_item(
                TableName=self._table, Key=_mark_key(subscription_id, item), ConsistentRead=True
            )
        mark = response.get("Item")
        return None if mark is None else _to_mark(mark)

    def put_mark(self, mark: OwedPost) -> None:
        values = {
            "subscription": mark.subscription,
            "resource": mark.item.kind.value,
            "item": mark.item.id,
            "token": mark.token,
            "owed_since": to_rfc3339(mark.owed_since),
            "attempts": mark.attempts,
            "problem": mark.problem,
            "pending": _owed_partition(mark.subscription),
            "due": to_rfc3339(mark.due),
            "expires_at": expiry(mark.owed_since, _MARK_RETENTION),
        }
        with store_errors("put owed post"):
            self._client.put_item(
                TableName=self._table, Item=_mark_key(mark.subscription, mark.item) | to_attributes(values)
            )

    def delete_mark(self, mark: OwedPost) -> None:
        with store_errors("delete owed post"):
            try:
                self._client.delete_item(
                    TableName=self._table,
                    Key=_mark_key(mark.subscription, mark.item),
                    ConditionExpression="#token = :token",
                    ExpressionAttributeNames={"#token": "token"},
                    ExpressionAttributeValues=to_attributes({":token": mark.token}),
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise

    def postpone_mark(self, mark: OwedPost, *, due: datetime) -> bool:
        written, _ = conditional_update(
            self._client,
            "postpone owed post",
            TableName=self._table,
            Key=_mark_key(mark.subscription, mark.item),
            UpdateExpression="SET #due = :due",
            ConditionExpression="#token = :token AND #due = :read",
            ExpressionAttributeNames={"#token": "token", "#due": "due"},
            ExpressionAttributeValues=to_attributes(
                {":due": to_rfc3339(due), ":token": mark.token, ":read": to_rfc3339(mark.due)}
            ),
        )
        return written

    def owed(self, subscription_id: str, *, until: datetime | None, limit: int) -> list[OwedPost]:
        partition = _owed_partition(subscription_id)
        latest = "~" if until is None else to_rfc3339(until)
        with store_errors("find owed posts"):
            response = self._client.query(
                TableName=self._table,
                IndexName=BY_DUE,
                KeyConditionExpression="pending = :pending AND due <= :until",
                ExpressionAttributeValues=to_attributes({":pending": partition, ":until": latest}),
                Limit=limit,
            )
        keys = [{"pk": entry["pk"]} for entry in response["Items"]]
        items = get_items(self._client, self._table, keys, operation="read owed posts")
        marks = [_to_mark(item) for item in items]
        return sorted((mark for mark in marks if to_rfc3339(mark.due) <= latest), key=lambda mark: mark.due)

    def record_failure(self, subscription: Subscription, *, changed: Subscription) -> None:
        values = {
            "failing_since": _text_of(changed.failing_since),
            "last_problem": changed.last_problem,
            "rests": changed.rests,
            "rests_until": _text_of(changed.rests_until),
            "revision": changed.revision,
        }
        update = _to_update({name: value for name, value in values.items() if value is not None})
        update["UpdateExpression"] += " ADD failures :one"
        update["ExpressionAttributeValues"] |= to_attributes({":one": 1})
        call: dict[str, Any] = {"TableName": self._table, "Key": _hook_key(subscription.id)}
        assert changed.due is not None
        due = {":due": {"S": to_rfc3339(changed.due)}, ":pending": {"S": _hook_partition(subscription.id)}}
        earlier, _ = conditional_update(
            self._client,
            "record failed post",
            **call,
            **update
            | {
                "UpdateExpression": update["UpdateExpression"].replace(
                    "SET ", "SET due = :due, pending = :pending, ", 1
                ),
                "ExpressionAttributeValues": update["ExpressionAttributeValues"] | due,
                "ConditionExpression": "attribute_exists(pk) AND (attribute_not_exists(due) OR due > :due)",
            },
        )
        if not earlier:
            # The sweep looks earlier anyway, or the subscription was deleted.
            conditional_update(
                self._client, "record failed post", **call, **update, ConditionExpression="attribute_exists(pk)"
            )

    def record_success(self, subscription: Subscription, *, at: datetime) -> bool:
        written, _ = conditional_update(
            self._client,
            "end rest",
            TableName=self._table,
            Key=_hook_key(subscription.id),
            UpdateExpression="SET failures = :zero, rests = :zero, pending = :pending, due = :now "
            "REMOVE failing_since, rests_until, last_problem",
            ConditionExpression="attribute_exists(pk) AND (failures > :zero OR attribute_exists(rests_until))",
            ExpressionAttributeValues=to_attributes(
                {":zero": 0, ":now": to_rfc3339(at), ":pending": _hook_partition(subscription.id)}
            ),
        )
        return written

    def disable(self, subscription: Subscription, reason: DisabledReason) -> bool:
        written, _ = conditional_update(
            self._client,
            "disable subscription",
            TableName=self._table,
            Key=_hook_key(subscription.id),
            UpdateExpression="SET disabled = :reason, last_problem = :problem, pending = :pending, due = :due",
            ConditionExpression="attribute_exists(pk) AND attribute_not_exists(disabled)",
            ExpressionAttributeValues=to_attributes(
                {
                    ":reason": reason.value,
                    ":problem": subscription.last_problem or reason.value,
                    ":pending": _hook_partition(subscription.id),
                    ":due": _text_of(subscription.due),
                }
            ),
        )
        return written

    def clear_due(self, subscription: Subscription) -> None:
        conditional_update(
            self._client,
            "clear due time",
            TableName=self._table,
            Key=_hook_key(subscription.id),
            UpdateExpression="REMOVE pending, due",
            ConditionExpression="attribute_exists(disabled)",
        )

    def postpone(self, subscription: Subscription, *, due: datetime, rests_until: datetime | None = None) -> bool:
        values = {"due": to_rfc3339(due), "pending": _hook_partition(subscription.id)}
        if rests_until is not None:
            values["rests_until"] = to_rfc3339(rests_until)
        update = _to_update(values)
        same = ["attribute_exists(pk)", "attribute_not_exists(disabled)"]
        for name, read in (
            ("revision", subscription.revision or None),
            ("due", _text_of(subscription.due)),
            ("rests_until", _text_of(subscription.rests_until)),
        ):
            same.append(f"attribute_not_exists({name})" if read is None else f"{name} = :read_{name}")
            if read is not None:
                update["ExpressionAttributeValues"][f":read_{name}"] = {"S": read}
        written, _ = conditional_update(
            self._client,
            "postpone subscription",
            TableName=self._table,
            Key=_hook_key(subscription.id),
            ConditionExpression=" AND ".join(same),
            **update,
        )
        return written

    def prolong_recovery(self, subscription: Subscription, *, until: datetime) -> bool:
        update = _to_update({"recovers_until": to_rfc3339(until)})
        same, read = "attribute_not_exists(recovers_until)", subscription.recovers_until
        if read is not None:
            same = "recovers_until = :read"
            update["ExpressionAttributeValues"] |= to_attributes({":read": to_rfc3339(read)})
        written, _ = conditional_update(
            self._client,
            "prolong recovery",
            TableName=self._table,
            Key=_hook_key(subscription.id),
            ConditionExpression=f"attribute_exists(pk) AND {same}",
            **update,
        )
        return written

    def overdue(self, *, now: datetime, limit: int) -> Iterator[Subscription | UnreadableItem]:
        shards = pending_partitions(_HOOK)
        items = overdue_in_shards(self._client, self._table, shards, now=now, limit=limit, noun="subscriptions")
        return convert_items(items, _to_subscription)

    def _enter(self, key: str, limit: int, subscription: Subscription, *, known: bool = False) -> dict[str, Any]:
        """Enter the subscription and its kinds of events into a list that has room, or replace its entry."""
        condition = "attribute_exists(#hook)"
        expression = "SET #hook = :kinds"
        values: dict[str, Any] = {":kinds": set(subscription.events)}
        if not known:
            condition = "attribute_not_exists(#hook) AND (attribute_not_exists(hooks) OR hooks < :limit)"
            expression += " ADD hooks :one"
            values |= {":limit": limit, ":one": 1}
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_attributes({"pk": key}),
                "UpdateExpression": expression,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#hook": _entry_name(subscription.id)},
                "ExpressionAttributeValues": to_attributes(values),
            }
        }

    def _leave(self, key: str, subscription: Subscription) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_attributes({"pk": key}),
                "UpdateExpression": "REMOVE #hook ADD hooks :minus",
                "ConditionExpression": "attribute_exists(#hook)",
                "ExpressionAttributeNames": {"#hook": _entry_name(subscription.id)},
                "ExpressionAttributeValues": to_attributes({":minus": -1}),
            }
        }

    def _write(self, operation: str, writes: list[dict[str, Any]]) -> bool:
        """Make all writes or none. Return False if the condition of the first one is not met.

        Raises:
            SubscriptionLimitError: a list has no room.
        """
        items: Any = writes
        with store_errors(operation):
            try:
                self._client.transact_write_items(TransactItems=items)
            except ClientError as error:
                reasons = [reason.get("Code") for reason in cancellation_reasons(error)]
                if "ConditionalCheckFailed" not in reasons:
                    raise
                if reasons[0] == "ConditionalCheckFailed":
                    return False
                raise SubscriptionLimitError(
                    f"A client has at most {MAX_SUBSCRIPTIONS} subscriptions. Delete one first"
                ) from None
        return True


class SqsHookQueue:
    """A HookQueue over SQS. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        for start in range(0, len(entries), _SQS_BATCH):
            batch: Any = [
                {
                    "Id": str(number),
                    "MessageBody": json.dumps(entry_to_json(entry)),
                    "DelaySeconds": delay_s,
                    # Fair queues: one subscription's entries do not delay the others'.
                    "MessageGroupId": entry.subscription,
                }
                for number, (entry, delay_s) in enumerate(entries[start : start + _SQS_BATCH])
            ]
            with store_errors("put post into queue"):
                response = self._client().send_message_batch(QueueUrl=self._queue_url, Entries=batch)
            require_all_sent(response)


class SubscribersQueue:
    """A NotifySubscribers over the lists of subscriptions, each read at most once in 5 s, and the hooks' queue."""

    def __init__(
        self,
        *,
        client: DynamoDBClient,
        table: str,
        queue: HookQueue,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._table = table
        self._queue = queue
        self._monotonic = monotonic
        self._lists: dict[str, tuple[float, Mapping[str, frozenset[str]]]] = {}

    def enqueue(self, client: str | None, kind: str, item_id: str) -> None:
        item = ChangedItem(KINDS[kind], item_id)
        if item.kind in SHARED_KINDS:
            subscriptions = self._read_list(f"HOOKS_OF#{kind}")
        elif client is not None:
            subscriptions = self._read_list(f"HOOKS#{client}")
        else:
            return
        self._queue.put(
            [(HookEntry(subscription=name, item=item), 0) for name, kinds in subscriptions.items() if kind in kinds]
        )

    def _read_list(self, pk: str) -> Mapping[str, frozenset[str]]:
        now = self._monotonic()
        read_at, entries = self._lists.get(pk, (float("-inf"), {}))
        if now - read_at > _LIST_MAX_AGE_S:
            entries = read_list(self._client, self._table, pk)
            if len(self._lists) >= _MAX_CACHED_LISTS:
                self._lists.clear()
            self._lists[pk] = now, entries
        return entries


class EventBridgeDisabledEvents:
    """The events on the changes' bus that tell of disabled subscriptions. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], Any], bus: str) -> None:
        self._client = client
        self._bus = bus

    def __call__(self, subscription: Subscription, reason: DisabledReason, at: datetime) -> None:
        detail = {
            "version": 1,
            "at": to_rfc3339(at),
            "client": subscription.client,
            "data": {"subscription_id": subscription.id, "state": "disabled", "disabled_reason": reason.value},
        }
        entry: Any = {
            "EventBusName": self._bus,
            "Source": "switchboard",
            "DetailType": "SubscriptionDisabled",
            "Detail": json.dumps(detail),
            "Time": at,
        }
        with store_errors("publish disabled subscription"):
            response = self._client().put_events(Entries=[entry])
        if response["FailedEntryCount"]:
            raise StoreUnavailableError("publish disabled subscription: the bus refused it")


class DerivedSecrets:
    """The SigningSecrets derived from a master secret `{"current": "1", "1": "..."}`, whose versions are its names."""

    def __init__(self, secret: CachedSecret) -> None:
        self._secret = secret

    def current_version(self) -> str:
        version = self._secret().values.get("current")
        if not isinstance(version, str):
            raise ConfigurationError('The master secret of webhooks lacks "current"')
        return version

    def secret_of(self, subscription_id: str, generation: Generation) -> bytes:
        master = self._secret().values.get(generation.master)
        if not isinstance(master, str) or not master:
            master = self._secret.refresh().values.get(generation.master)
        if not isinstance(master, str) or not master:
            raise ConfigurationError(f"The master secret of webhooks lacks the version {generation.master}")
        return derive_secret(master.encode(), subscription=subscription_id, generation=generation.number)


def read_list(client: DynamoDBClient, table: str, pk: str) -> dict[str, frozenset[str]]:
    """Return the ids of the subscriptions in a list, each with its kinds of events.

    Raises:
        StoreUnavailableError: DynamoDB did not answer.
    """
    with store_errors("read list of subscriptions"):
        response = client.get_item(TableName=table, Key=to_attributes({"pk": pk}), ConsistentRead=True)
    values = from_attributes(response.get("Item", {}))
    return {
        name.partition("|")[2]: frozenset(kinds) for name, kinds in values.items() if name.startswith(_entry_name(""))
    }


def require_all_sent(response: Mapping[str, Any]) -> None:
    """Check that a queue took every entry of a batch.

    Raises:
        StoreUnavailableError: it did not.
    """
    if response.get("Failed"):
        raise StoreUnavailableError("put post into queue: not all entries were taken")


def _lists_of(subscription: Subscription) -> list[tuple[str, int]]:
    """Return the keys of the lists that name the subscription, each with its limit."""
    shared = sorted(kind for kind in subscription.events if kind in SHARED_KINDS)
    return [
        (f"HOOKS#{subscription.client}", MAX_SUBSCRIPTIONS),
        *((f"HOOKS_OF#{kind}", _MAX_SHARED) for kind in shared),
    ]


def _settings_of(subscription: Subscription) -> dict[str, Any]:
    return {
        "client": subscription.client,
        "key_id": subscription.key_id,
        "url": subscription.url,
        "events": set(subscription.events),
        "states": set(subscription.states) if subscription.states else None,
        "thin": subscription.thin,
        "description": subscription.description,
        "generations": [
            {"number": generation.number, "master": generation.master, "until": _text_of(generation.until) or ""}
            for generation in subscription.generations
        ],
        "updated_at": to_rfc3339(subscription.updated_at),
    }


def _delivery_of(subscription: Subscription) -> dict[str, Any]:
    """Return the attributes of a subscription that its posts change."""
    return {
        "failures": subscription.failures,
        "failing_since": _text_of(subscription.failing_since),
        "last_problem": subscription.last_problem,
        "rests": subscription.rests,
        "rests_until": _text_of(subscription.rests_until),
        "disabled": subscription.disabled and subscription.disabled.value,
        "pending": _hook_partition(subscription.id) if subscription.due else None,
        "due": _text_of(subscription.due),
    }


def _to_update(values: Mapping[str, Any], *, absent: Sequence[str] = ()) -> dict[str, Any]:
    """Return the arguments of an update that sets values, and removes those that are `absent`."""
    names = {f"#n{place}": name for place, name in enumerate(values)}
    assignments = [f"{place} = :v{place[2:]}" for place, name in names.items() if name not in absent]
    removed = [place for place, name in names.items() if name in absent]
    return {
        "UpdateExpression": "SET " + ", ".join(assignments) + (f" REMOVE {', '.join(removed)}" if removed else ""),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": to_attributes(
            {f":v{place[2:]}": values[name] for place, name in names.items() if name not in absent}
        ),
    }


def _to_subscription(item: Item) -> Subscription:
    with decoding_errors("subscription"):
        values = from_attributes(item)
        disabled = values.get("disabled")
        return Subscription(
            id=values["pk"].partition("#")[2],
            **{name: values[name] for name in _TEXTS if name in values},
            events=frozenset(KINDS[kind] for kind in values["events"]),
            states=frozenset(values["states"]) if "states" in values else None,
            thin=values["thin"],
            generations=tuple(
                Generation(int(entry["number"]), entry["master"], from_optional_rfc3339(entry["until"]))
                for entry in values["generations"]
            ),
            created_at=from_rfc3339(values["created_at"]),
            updated_at=from_rfc3339(values["updated_at"]),
            failures=int(values.get("failures", 0)),
            failing_since=from_optional_rfc3339(values.get("failing_since")),
            rests=int(values.get("rests", 0)),
            rests_until=from_optional_rfc3339(values.get("rests_until")),
            disabled=DisabledReason(disabled) if disabled else None,
            due=from_optional_rfc3339(values.get("due")),
            recovers_until=from_optional_rfc3339(values.get("recovers_until")),
        )


def _to_mark(item: Item) -> OwedPost:
    with decoding_errors("owed post"):
        values = from_attributes(item)
        return OwedPost(
            subscription=values["subscription"],
            item=ChangedItem(KINDS[values["resource"]], values["item"]),
            token=values["token"],
            owed_since=from_rfc3339(values["owed_since"]),
            attempts=int(values["attempts"]),
            due=from_rfc3339(values["due"]),
            problem=values["problem"],
        )


def _same_as(before: Subscription) -> str:
    """Return the condition that settings and state are those that were read. A post, or an operator, ends a state."""
    disabled = "attribute_not_exists(disabled)" if before.disabled is None else "disabled = :read_disabled"
    rests = f"attribute_{'not_' if before.rests_until is None else ''}exists(rests_until)"
    return f"{_SAME_SETTINGS} AND {disabled} AND {rests}"


def _read_at(subscription: Subscription) -> Item:
    return to_attributes({":read": to_rfc3339(subscription.updated_at)})


def _text_of(instant: datetime | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)


def _hook_pk(subscription_id: str) -> str:
    return f"HOOK#{subscription_id}"


def _hook_key(subscription_id: str) -> dict[str, Any]:
    return to_attributes({"pk": _hook_pk(subscription_id)})


def _hook_partition(subscription_id: str) -> str:
    return pending_partition(_HOOK, _hook_pk(subscription_id))


def _owed_partition(subscription_id: str) -> str:
    return f"owed#{subscription_id}"


def _mark_key(subscription_id: str, item: ChangedItem) -> dict[str, Any]:
    return to_attributes({"pk": f"HOOKED#{subscription_id}#{item.kind}#{item.id}"})


def _entry_name(subscription_id: str) -> str:
    return f"hook|{subscription_id}"

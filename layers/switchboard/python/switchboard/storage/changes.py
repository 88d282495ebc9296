"""Read the changed items of the StateTable, publish changes on EventBridge, and queue what is to be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.changes import Change, ChangeKind, Circuit
from switchboard.domain.errors import StoreRefusedError, StoreUnavailableError
from switchboard.domain.recording.facts import Recording
from switchboard.domain.sms.messages import Message
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.verification.verifications import Verification
from switchboard.domain.voice_calls import VoiceCall
from switchboard.ports.changes import Image, ListPage, Resource
from switchboard.storage.aws import store_errors
from switchboard.storage.circuits import CIRCUIT, circuit_from, circuit_pk
from switchboard.storage.items import (
    BY_DAY,
    DAY_SHARDS,
    day_partition_name,
    to_attributes,
)
from switchboard.storage.orders.store import OrderCodec, order_from
from switchboard.storage.recording.items import KIND as RECORDING
from switchboard.storage.recording.items import recording_from, recording_pk
from switchboard.storage.sms.messages import MessageCodec
from switchboard.storage.verification.store import ChannelCodec, DynamoDbChannelStore, VerificationCodec
from switchboard.storage.voice_call.store import DynamoDbVoiceCallStore, VoiceCallCodec, count_results, token_in

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

EVENT_SOURCE: Final = "switchboard"
_ENTRIES_AT_ONCE: Final = 10
_KEYS_A_PAGE: Final = 1_000
"""The keys that one entry of a republication puts into the queue, which takes a few seconds."""
_DAY: Final = timedelta(days=1)


class DynamoDbChangedItems:
    """A ChangedItems over one table.

    The facts of a voice call, and of a verification with further channels, lie in several items: `voice_calls` and
    `channels` read these together.
    """

    def __init__(
        self,
        *,
        client: DynamoDBClient,
        table: str,
        voice_calls: DynamoDbVoiceCallStore,
        channels: DynamoDbChannelStore,
    ) -> None:
        self._client = client
        self._table = table
        self._voice_calls = voice_calls
        self._channels = channels
        self._codecs: Mapping[ChangeKind, OrderCodec[Any]] = {
            ChangeKind.SMS: MessageCodec(),
            ChangeKind.VERIFICATION: VerificationCodec(),
            ChangeKind.VOICE_CALL: VoiceCallCodec(),
        }

    def count_facts(self, image: Image | None) -> int:
        if image is None:
            return 0
        if token_in(image) is not None:
            return count_results(image)
        facts = self._facts_of(image)
        return 0 if facts is None else facts.sequence

    def resource_in(self, image: Image) -> Resource | None:
        token = token_in(image)
        if token is not None:
            return self._voice_calls.get(token)
        match self._facts_of(image):
            case VoiceCall() as voice_call:
                return self._voice_calls.get(voice_call.token)
            case Verification(parent_id=str(parent_id)):
                parent = self.read(self._codecs[ChangeKind.VERIFICATION].key(parent_id))
                return None if parent is None else self.resource_in(parent)
            case Verification() as verification:
                return self._channels.with_channels(verification)
            case resource:
                return resource

    def read(self, key: str) -> Image | None:
        with store_errors("read changed item"):
            response = self._client.get_item(TableName=self._table, Key=to_attributes({"pk": key}), ConsistentRead=True)
        return response.get("Item")

    def key_of(self, kind: ChangeKind, resource_id: str) -> str:
        if kind is ChangeKind.RECORDING:
            return recording_pk(resource_id)
        return circuit_pk(resource_id) if kind is ChangeKind.CIRCUIT else self._codecs[kind].key(resource_id)

    def lists_since(self, since: datetime, *, until: datetime) -> Sequence[ListPage]:
        kinds = [*(codec.kind for codec in self._codecs.values()), RECORDING]
        days = [to_rfc3339(since + day * _DAY) for day in range((until.date() - since.date()).days + 1)]
        return [
            ListPage(day_partition_name(kind, day, shard), to_rfc3339(since))
            for day in days
            for kind in kinds
            for shard in range(DAY_SHARDS)
        ]

    def list_keys(self, page: ListPage) -> tuple[Sequence[str], ListPage | None]:
        with store_errors("list changed items"):
            response = self._client.query(
                TableName=self._table,
                IndexName=BY_DAY,
                KeyConditionExpression="day_partition = :day AND list_position >= :start",
                ExpressionAttributeValues=to_attributes({":day": page.list, ":start": page.start}),
                Limit=_KEYS_A_PAGE,
            )
        last = response.get("LastEvaluatedKey")
        following = ListPage(page.list, last["list_position"]["S"]) if last else None
        return [item["pk"]["S"] for item in response["Items"]], following

    def _facts_of(self, image: Image) -> Message | Verification | VoiceCall | Recording | Circuit | None:
        """Return what this one item holds."""
        kind = image.get("kind", {}).get("S")
        if kind == RECORDING:
            return recording_from(image)
        if kind == CIRCUIT:
            return circuit_from(image)
        for codec in (*self._codecs.values(), ChannelCodec()):
            if kind == codec.kind:
                facts: Message | Verification | VoiceCall | None = order_from(image, codec=codec)
                return facts
        return None


class EventBridgeChangesBus:
    """A ChangesBus over one event bus. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], Any], bus: str) -> None:
        self._client = client
        self._bus = bus

    def put(self, changes: Sequence[Change]) -> Collection[Change]:
        refused: list[Change] = []
        for start in range(0, len(changes), _ENTRIES_AT_ONCE):
            refused += self._put(changes[start : start + _ENTRIES_AT_ONCE])
        return refused

    def _put(self, changes: Sequence[Change]) -> Sequence[Change]:
        try:
            with store_errors("publish changes"):
                response = self._client().put_events(
                    Entries=[
                        {
                            "EventBusName": self._bus,
                            "Source": EVENT_SOURCE,
                            "DetailType": change.detail_type,
                            "Detail": json.dumps(change.detail, ensure_ascii=False),
                            "Time": change.snapshot.at,
                        }
                        for change in changes
                    ]
                )
        except StoreRefusedError:
            # One of them is too large or has a wrong form. Each one alone shows which.
            return changes if len(changes) == 1 else [entry for change in changes for entry in self._put([change])]
        return [change for change, entry in zip(changes, response["Entries"], strict=True) if entry.get("ErrorCode")]


class SqsRepairQueue:
    """A RepairQueue over one queue of `{pk}` and `{list, start}`. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, keys: Iterable[str | ListPage]) -> int:
        count, batch = 0, list[str | ListPage]()
        for key in keys:
            batch.append(key)
            if len(batch) == _ENTRIES_AT_ONCE:
                self._put(batch)
                count, batch = count + len(batch), []
        if batch:
            self._put(batch)
        return count + len(batch)

    def _put(self, keys: Sequence[str | ListPage]) -> None:
        entries = [{"pk": key} if isinstance(key, str) else asdict(key) for key in keys]
        with store_errors("queue repairs"):
            response = self._client().send_message_batch(
                QueueUrl=self._queue_url,
                Entries=[{"Id": str(number), "MessageBody": json.dumps(entry)} for number, entry in enumerate(entries)],
            )
        if response.get("Failed"):
            raise StoreUnavailableError("queue repairs: incomplete")

"""Read the changed items of the StateTable, publish changes on EventBridge, and queue what is to be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.changes import Change, ChangeKind, Circuit
from switchboard.domain.errors import StoreRefusedError, StoreUnavailableError
from switchboard.domain.recording.facts import Recording
from switchboard.domain.sms.messages import Message
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.verification.verifications import Verification
from switchboard.domain.voice_calls import VoiceCall
from switchboard.ports.changes import Image, Resource
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

    def keys_since(self, since: datetime, *, until: datetime) -> Iterator[str]:
        kinds = [*(codec.kind for codec in self._codecs.values()), RECORDING]
        days = range((until.date() - since.date()).days + 1)
        for day in days:
            for kind in kinds:
                for shard in range(DAY_SHARDS):
                    yield from self._keys_of(day_partition_name(kind, to_rfc3339(since + day * _DAY), shard), since)

    def _keys_of(self, partition: str, since: datetime) -> Iterator[str]:
        start: dict[str, Any] = {}
        while True:
            with store_errors("list changed items"):
                response = self._client.query(
                    TableName=self._table,
                    IndexName=BY_DAY,
                    KeyConditionExpression="day_partition = :day AND list_position >= :since",
                    ExpressionAttributeValues=to_attributes({":day": partition, ":since": to_rfc3339(since)}),
                    **start,
                )
            yield from (item["pk"]["S"] for item in response["Items"])
            if not (last_key := response.get("LastEvaluatedKey")):
                return
            start = {"ExclusiveStartKey": last_key}

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
    """A RepairQueue over one queue of `{pk}`. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, keys: Iterable[str]) -> int:
        count, batch = 0, list[str]()
        for key in keys:
            batch.append(key)
            if len(batch) == _ENTRIES_AT_ONCE:
                self._put(batch)
                count, batch = count + len(batch), []
        if batch:
            self._put(batch)
        return count + len(batch)

    def _put(self, keys: Sequence[str]) -> None:
        with store_errors("queue repairs"):
            response = self._client().send_message_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(number), "MessageBody": json.dumps({"pk": key})} for number, key in enumerate(keys)
                ],
            )
        if response.get("Failed"):
            raise StoreUnavailableError("queue repairs: incomplete")

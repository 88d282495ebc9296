"""Writers, the publisher and the repair queue over the real stores, with a publisher that is killed at any step."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final

from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

from switchboard.domain import voice_calls
from switchboard.domain.call_results import CallResult
from switchboard.domain.changes import Change, Snapshot
from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import Outcome, OutcomeKind
from switchboard.domain.recording.facts import (
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ReadyFact,
    Role,
    RoleCorrection,
    StoredFile,
)
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.transcript_facts import (
    Source,
    StoredTranscript,
    TranscriptionAttempt,
    TranscriptionEnd,
    TranscriptionOutcome,
)
from switchboard.domain.sms import messages
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.verification import verifications
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import CodeCheck, CodeRecipe, Fallback, Resend, channel_id
from switchboard.edge.changes import DescribeResource, publish_all, publish_batch
from switchboard.ports.changes import Image, ListPage, Resource
from switchboard.providers.biztel.file_names import parse_file_name
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.changes import DynamoDbChangedItems
from switchboard.storage.recording.store import DynamoDbRecordingStore
from switchboard.storage.recording.transcriptions import DynamoDbTranscriptionStore
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.storage.verification.store import DynamoDbChannelStore, DynamoDbVerificationStore
from switchboard.storage.voice_call.store import DynamoDbVoiceCallStore
from switchboard.usecases.operations.publish_changes import PublishChanges
from switchboard.usecases.verification.channels import ViewVerification
from tests.builders import (
    DEADLINES,
    GRACE,
    MINUTE,
    a_call,
    a_claim,
    a_message,
    a_report,
    a_verification,
)
from tests.fakes import START, FixedClock
from tests.tables import state_table

if TYPE_CHECKING:
    from tests.contract.conftest import Aws

RETENTION: Final = 9 * 24 * 60 * MINUTE
REGION: Final = "ap-northeast-1"

Describe = Callable[[Resource], Snapshot]

DESCRIBE: Final = DescribeResource(
    statuses=DELIVERY_STATUSES,
    sms_status=lambda order, now: messages.status_of(order, statuses=DELIVERY_STATUSES, deadlines=DEADLINES, now=now),
    view_verification=ViewVerification(
        status_of=lambda order, now: verifications.status_of(order, deadlines=DEADLINES, now=now),
        channels_of=lambda order, further, now: verifications.channel_views(
            order, further, statuses=DELIVERY_STATUSES, deadlines=DEADLINES, now=now
        ),
    ),
    voice_call_status=lambda order, now: voice_calls.status_of(order, deadlines=DEADLINES, now=now),
    policy=RecordingPolicy(channels=frozenset({Channel.LEFT, Channel.RIGHT}), monaural_as_fallback=False),
    parse_name=parse_file_name,
    makes_transcripts=True,
)


class KilledError(BaseException):
    """The end of an invocation at one step, which no handler sees."""


class Faults:
    """The faults of the publisher's steps: `kill_at` counts the steps until one is the last, None kills none."""

    def __init__(self, random: Random, *, kill_at: int | None = None, refusals: float = 0) -> None:
        self.random = random
        self.kill_at = kill_at
        self.refusals = refusals
        self.steps = 0

    def step(self) -> None:
        """Pass one step, or end the invocation there."""
        self.steps += 1
        if self.kill_at is not None and self.steps > self.kill_at:
            self.kill_at = None
            raise KilledError

    def refuses(self) -> bool:
        """Return whether AWS refuses this call."""
        return self.random.random() < self.refusals


class Bus:
    """A ChangesBus that keeps all events in order. It is down for a call now and then, or refuses single entries."""

    def __init__(self, faults: Faults) -> None:
        self.events: list[Change] = []
        self._faults = faults

    def put(self, changes: Sequence[Change]) -> Collection[Change]:
        if self._faults.refuses():
            raise StoreUnavailableError("bus")
        refused = []
        for change in changes:
            self._faults.step()
            if self._faults.refuses():
                refused.append(change)
            else:
                self.events.append(change)
        self._faults.step()
        return refused


class Repairs:
    """A RepairQueue whose entries come again until they are done."""

    def __init__(self, faults: Faults) -> None:
        self.keys: list[str] = []
        self._faults = faults

    def put(self, keys: Iterable[str | ListPage]) -> int:
        present = [key for key in keys if isinstance(key, str)]
        self._faults.step()
        if self._faults.refuses():
            raise StoreUnavailableError("repairs")
        self.keys += present
        self._faults.step()
        return len(present)


class Subscribers:
    """A NotifySubscribers that keeps which items were handed over, and after how many events."""

    def __init__(self, faults: Faults, bus: Bus) -> None:
        self.handed_over: dict[tuple[str, str], int] = {}
        self._faults = faults
        self._bus = bus

    def enqueue(self, client: str | None, kind: str, item_id: str) -> None:
        self._faults.step()
        if self._faults.refuses():
            raise StoreUnavailableError("hooks")
        self.handed_over[kind, item_id] = len(self._bus.events)
        self._faults.step()


class ChangesWorld:
    """One table with its writers and its publisher.

    `coalesce` and `acknowledge_first` are for mutants: a publisher that publishes each record of a batch, and a poller
    that moves on before the batch is done.
    """

    def __init__(
        self,
        aws: Aws,
        faults: Faults,
        *,
        describe: Describe = DESCRIBE,
        publisher: type[PublishChanges] = PublishChanges,
        changed_items: type[DynamoDbChangedItems] = DynamoDbChangedItems,
        batch: int = 10,
        acknowledge_first: bool = False,
        publish: Callable[[PublishChanges, dict[str, Any]], None] = publish_batch,
    ) -> None:
        name = aws.unique("changes")
        aws.dynamodb.create_table(
            **state_table(name), StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        )
        self.faults, self._batch, self._acknowledge_first, self._publish = faults, batch, acknowledge_first, publish
        self.bus, self.repairs = Bus(faults), Repairs(faults)
        self.subscribers = Subscribers(faults, self.bus)
        client = aws.dynamodb
        self.sms = DynamoDbMessageStore(
            client=client, table=name, deadlines=DEADLINES, statuses=DELIVERY_STATUSES, retention=RETENTION
        )
        self.verifications = DynamoDbVerificationStore(
            client=client, table=name, deadlines=DEADLINES, grace=GRACE, retention=RETENTION
        )
        self.voice_calls = DynamoDbVoiceCallStore(client=client, table=name, deadlines=DEADLINES, retention=RETENTION)
        self.recordings = DynamoDbRecordingStore(client=client, table=name, retention=RETENTION)
        self.channels = DynamoDbChannelStore(client=client, table=name, deadlines=DEADLINES, retention=RETENTION)
        self.transcriptions = DynamoDbTranscriptionStore(client=client, table=name)
        self._items = changed_items(client=client, table=name, voice_calls=self.voice_calls, channels=self.channels)
        self.publisher = publisher(
            items=self._items,
            describe=describe,
            rules_version="0",
            bus=self.bus,
            repair=self.repairs,
            notify=self.subscribers,
            clock=FixedClock(START),
        )
        self._stream: Any = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][REGION].tables[name].stream_shard
        self._read = 0
        self._client, self._table = client, name

    def poll(self) -> bool:
        """Let the publisher handle the next batch as Lambda does; return False if the stream is read to its end."""
        records = [copy.deepcopy(entry.to_json()) for entry in self._stream.items[self._read :][: self._batch]]
        if not records:
            return False
        for record in records:
            record["dynamodb"]["ApproximateCreationDateTime"] = START.timestamp()
        if self._acknowledge_first:
            self._read += len(records)
        with self._invocation():
            self._publish(self.publisher, {"Records": records})
            if not self._acknowledge_first:
                self._read += len(records)
        return True

    def repair(self) -> bool:
        """Let the publisher handle one entry of the repair queue; return False if there is none."""
        if not self.repairs.keys:
            return False
        key = self.repairs.keys[0]
        with self._invocation():
            change = self.publisher.prepare_present(key)
            if change is not None and publish_all(self.publisher, [change]):
                raise StoreUnavailableError("publish change")
            self.repairs.keys.remove(key)
        return True

    @contextmanager
    def _invocation(self) -> Iterator[None]:
        # The batch or the entry comes again.
        with suppress(KilledError, StoreUnavailableError):
            yield

    def drain(self) -> None:
        """Let everything come through, without further faults."""
        self.faults.kill_at, self.faults.refusals = None, 0
        while self.poll() or self.repair():
            pass

    def breaches(self) -> list[str]:
        """Return what is wrong with the events, compared with the table."""
        found = []
        views: dict[str, str] = {}
        last: dict[tuple[str, str], Change] = {}
        places: dict[tuple[str, str], int] = {}
        highest: dict[tuple[str, str], int] = {}
        for place, change in enumerate(self.bus.events, 1):
            view = json.dumps(change.detail["data"], sort_keys=True)
            if views.setdefault(change.id, view) != view:
                found.append(f"two views of {change.id}")
            subject = (change.snapshot.kind.value, change.snapshot.id)
            # A repair publishes the present, which the stream may reach later.
            if change.previous is not None:
                if change.snapshot.sequence < highest.get(subject, 0):
                    found.append(f"falls at {change.id}")
                highest[subject] = change.snapshot.sequence
            last[subject], places[subject] = change, place
        for item in self._client.scan(TableName=self._table)["Items"]:
            present = self.publisher.prepare_present(item["pk"]["S"])
            if present is None or present.snapshot.passing:
                continue
            subject = (present.snapshot.kind.value, present.snapshot.id)
            published = last.get(subject)
            if published is None or published.detail["data"] != present.detail["data"]:
                found.append(f"lost {present.id}")
            if self.subscribers.handed_over.get(subject, 0) < places.get(subject, 0):
                found.append(f"subscribers not notified of {present.id}")
        return found


def writes(world: ChangesWorld, random: Random, *, items: int) -> list[Callable[[], object]]:
    """Return writes to `items` resources of each kind, in a possible order for each, shuffled over the resources."""
    histories = [
        history(world, f"i{number}", START + number * MINUTE)
        for history in (_message, _verification, _verification_with_channels, _voice_call, _recording, _transcript)
        for number in range(items)
    ]
    order = []
    while histories := [history for history in histories if history]:
        order.append(random.choice(histories).pop(0))
    return order


def _message(world: ChangesWorld, smsid: str, at: datetime) -> list[Callable[[], object]]:
    store, order = world.sms, a_message(smsid, at=at)

    def report(status: str) -> object:
        return store.record_report(a_report(status, smsid), seen_at=at + MINUTE)

    return [
        lambda: store.create(order),
        lambda: store.record_outcome(order, order.claims[0], Outcome(OutcomeKind.NOT_SENT, at), queue=True),
        lambda: store.claim(smsid, a_claim("second", at=at)),
        lambda: store.record_outcome(_read(store, smsid), a_claim("second", at=at), Outcome(OutcomeKind.ACCEPTED, at)),
        lambda: report("14"),
        lambda: report("14"),
        lambda: report("999"),
        lambda: report("1"),
    ]


def _verification(world: ChangesWorld, id_: str, at: datetime) -> list[Callable[[], object]]:
    store = world.verifications
    order = a_verification(f"v{id_}", at=at, mode=VerificationMode.CALL_OUT)
    later = at + MINUTE
    return [
        lambda: store.create(order),
        lambda: store.record_outcome(order, order.claims[0], Outcome(OutcomeKind.ACCEPTED, at)),
        lambda: store.record_wrong_code(order.id, at=later),
        lambda: store.record_wrong_code(order.id, at=later),
        lambda: store.record_right_code(order.id, CodeCheck("c", later)),
        lambda: store.record_closed(_read(store, order.id), at=later),
    ]


def _verification_with_channels(world: ChangesWorld, id_: str, at: datetime) -> list[Callable[[], object]]:
    """Return the writes of a code that is resent and then called, so that its facts lie in three items."""
    store, channels, later = world.verifications, world.channels, at + MINUTE
    code: dict[str, Any] = {
        "mode": VerificationMode.SMS_CODE,
        "content": SmsContent(text="コード {code}"),
        "recipe": CodeRecipe(length=6, key_version="1", origin="example.com"),
    }
    order = a_verification(f"w{id_}", at=at, fallback=Fallback(after=MINUTE, repeat_calls=1), **code)
    of_order: dict[str, Any] = {"at": later, "parent_id": order.id, "ends_at": order.expires_at}
    resent = a_verification(
        channel_id(order.id, generation=2), claim_id="resend", first_generation=2, **code, **of_order
    )
    called = a_verification(
        channel_id(order.id), claim_id="call", mode=VerificationMode.CALL_OUT, repeat_calls=1, **of_order
    )
    accepted = Outcome(OutcomeKind.ACCEPTED, later)
    return [
        lambda: store.create(order),
        lambda: store.record_outcome(order, order.claims[0], Outcome(OutcomeKind.ACCEPTED, at)),
        lambda: channels.claim_resend(_read(store, order.id), resent, Resend(id="resend", at=later, key="key")),
        lambda: channels.record_outcome(resent, resent.claims[0], accepted),
        lambda: channels.claim_fallback(_read(store, order.id), called),
        lambda: store.record_wrong_code(order.id, at=later),
        lambda: store.record_right_code(order.id, CodeCheck("c", later + MINUTE)),
        lambda: channels.record_outcome(called, called.claims[0], accepted),
        lambda: channels.record_closed(_read(channels, called.id), at=later + MINUTE),
    ]


def _voice_call(world: ChangesWorld, id_: str, at: datetime) -> list[Callable[[], object]]:
    store, order = world.voice_calls, a_call(f"c{id_}", at=at, callback_expected=True)
    accepted = Outcome(OutcomeKind.ACCEPTED, at, facts={"call_id": f"p{id_}"})

    def result(text: str, minutes: int) -> object:
        return store.record_result(CallResult(f"p{id_}", text), seen_at=at + minutes * MINUTE)

    return [
        lambda: store.create(order),
        lambda: result("ringing", 2),
        lambda: store.record_outcome(order, order.claims[0], accepted),
        lambda: result("answered", 3),
        lambda: result("answered", 2),
        lambda: store.record_closed(_read(store, order.id), at=at + 4 * MINUTE),
    ]


def _recording(world: ChangesWorld, id_: str, at: datetime) -> list[Callable[[], object]]:
    store, name, later = world.recordings, f"r{id_}", at + MINUTE
    ready = ReadyFact(tel="09000000001", date="d", called_at=at, at=at)
    attempt = FetchAttempt(id="a", channel=Channel.LEFT, at=later)
    failed = FetchOutcome(id="a", channel=Channel.LEFT, at=later, end=FetchEnd.REFUSED)
    withdrawn = FetchAttempt(id="w", channel=Channel.RIGHT, at=later)
    forbidden = FetchOutcome(id="b", channel=Channel.RIGHT, at=later, end=FetchEnd.FORBIDDEN)
    correction = RoleCorrection(at=later, left=Role.OPERATOR, right=Role.CUSTOMER)
    return [
        lambda: store.announce(name, ready, due=later),
        lambda: store.begin(_read(store, name), attempt, due=later),
        lambda: store.record_outcome(name, failed),
        lambda: store.begin(_read(store, name), withdrawn, due=later),
        lambda: store.withdraw(name, withdrawn),
        lambda: store.record_outcome(name, forbidden),
        lambda: store.schedule(_read(store, name), due=None, at=later),
        lambda: store.correct(_read(store, name), correction),
    ]


def _transcript(world: ChangesWorld, id_: str, at: datetime) -> list[Callable[[], object]]:
    """Return the writes of a recording that is stored, closed and recognised."""
    store, transcriptions, name, later = world.recordings, world.transcriptions, f"t{id_}", at + MINUTE
    ready = ReadyFact(tel="", date="", called_at=at, at=at, by_file=True)
    file = StoredFile(key="k.mp3", bytes=9, sha256="0" * 64, content_type="audio/mpeg", file_name="k.mp3")
    stored = FetchOutcome(id="a", channel=Channel.LEFT, at=at, end=FetchEnd.STORED, file=file)
    attempt = TranscriptionAttempt(
        job=f"stack.{name}.left.0.1",
        source=Source.LEFT,
        inputs=("0" * 64,),
        language="ja-JP",
        recognizer="transcribe",
        generation=1,
        billed_seconds=15,
        at=later,
    )
    started = TranscriptionOutcome(job=attempt.job, end=TranscriptionEnd.STARTED, at=later)
    completed = TranscriptionOutcome(job=attempt.job, end=TranscriptionEnd.COMPLETED, at=later + MINUTE)
    transcript = StoredTranscript(
        job=attempt.job, key="transcripts/k.json", sha256="1" * 64, words=3, removed=(), rules="1", at=later + MINUTE
    )
    return [
        lambda: store.announce(name, ready, due=at),
        lambda: store.record_outcome(name, stored),
        lambda: store.schedule(_read(store, name), due=None, at=later, transcribe_due=later),
        lambda: transcriptions.schedule(_read(store, name), due=later, waits_for="month"),
        lambda: transcriptions.begin(_read(store, name), attempt, due=later),
        lambda: transcriptions.record(name, started),
        lambda: transcriptions.record(name, completed, transcript=transcript),
        lambda: transcriptions.schedule(_read(store, name), due=None),
    ]


def _read(store: Any, id_: str) -> Any:
    resource = store.get(id_)
    assert resource is not None
    return resource


class ForgetsChannels(DynamoDbChangedItems):
    """Items whose writes to a channel of a verification show nothing."""

    def resource_in(self, image: Image) -> Resource | None:
        return None if image.get("kind") == {"S": "channel"} else super().resource_in(image)


class DropsFailures(PublishChanges):
    """A publisher that forgets what failed."""

    def repeat_later(self, keys: Iterable[str]) -> int:
        return len(list(keys))


class HandsOverOnce(PublishChanges):
    """A publisher that takes an event on the bus for all that there is to do."""

    def publish(self, changes: Iterable[Change]) -> list[Change]:
        changes = list(changes)
        super().publish(changes)
        return []


def publish_each_record(publisher: PublishChanges, event: dict[str, Any]) -> None:
    """Publish every record of a batch by itself, so that a repeated batch begins with old states."""
    for record in event["Records"]:
        publish_batch(publisher, {"Records": [record]})


def describe_with_passing_facts(resource: Resource) -> Snapshot:
    """Describe a recording with its attempts, which no sequence counts."""
    snapshot = DESCRIBE(resource)
    attempts = getattr(resource, "attempts", None)
    return snapshot if attempts is None else replace(snapshot, data={**snapshot.data, "attempts": len(attempts)})


def describe_by_number_of_reads() -> Describe:
    """Describe a resource at the time of its reading instead of that of its last fact."""
    reads = iter(range(1_000_000))
    return lambda resource: replace(snapshot := DESCRIBE(resource), data={**snapshot.data, "updated_at": next(reads)})

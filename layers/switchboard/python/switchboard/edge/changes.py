"""Describe resources for change events, and read the state table's stream (docs/change-events.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from switchboard.domain.changes import Change, ChangeKind, Circuit, Snapshot
from switchboard.domain.errors import SwitchboardError
from switchboard.domain.orders import Order, Status
from switchboard.domain.phone_numbers import canonical_tel
from switchboard.domain.published_states import PUBLISHED_STATES
from switchboard.domain.recording.facts import Recording, RecordingFileName
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.sms.delivery import StatusTable
from switchboard.domain.sms.messages import Message, SmsStatus
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.verification.verifications import VerificationState, VerificationWithChannels
from switchboard.domain.voice_calls import VoiceCall, VoiceCallState
from switchboard.edge.api import recordings, sms, verifications, voice_calls
from switchboard.edge.endpoint import log_fields, log_unexpected
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger
from switchboard.ports.changes import ItemWrite, Resource
from switchboard.usecases.operations.publish_changes import PublishChanges
from switchboard.usecases.query import OrderView
from switchboard.usecases.recording.query import view_without_links
from switchboard.usecases.verification.channels import ViewVerification

_TTL: Final = "dynamodb.amazonaws.com"
"""The principal of a removal because of an item's age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeResource:
    """The derivation of a snapshot from a resource: its view at the time of its last visible fact."""

    statuses: StatusTable
    sms_status: Callable[[Message, datetime], SmsStatus]
    view_verification: ViewVerification
    voice_call_status: Callable[[VoiceCall, datetime], Status[VoiceCallState]]
    policy: RecordingPolicy
    parse_name: Callable[[str], RecordingFileName]
    makes_transcripts: bool

    def __call__(self, resource: Resource) -> Snapshot:
        """Return the resource's snapshot."""
        match resource:
            case Message():
                view = OrderView(resource, self.sms_status(resource, resource.updated_at))
                return _of_order(ChangeKind.SMS, resource, sms.to_json(view, statuses=self.statuses))
            case VerificationWithChannels():
                return self._describe_verification(resource)
            case VoiceCall():
                call_status = self.voice_call_status(resource, resource.updated_at)
                data = voice_calls.to_json(OrderView(resource, call_status))
                return _of_order(ChangeKind.VOICE_CALL, resource, data)
            case Recording():
                return self._describe_recording(resource)
            case Circuit():
                return _describe_circuit(resource)

    def _describe_verification(self, facts: VerificationWithChannels) -> Snapshot:
        view = self.view_verification(facts, facts.updated_at)
        verification = facts.verification
        return Snapshot(
            kind=ChangeKind.VERIFICATION,
            id=verification.id,
            client=verification.client,
            sequence=facts.sequence,
            at=facts.updated_at,
            state=view.status.state.value,
            data=verifications.to_json(view),
            # A verification that is being submitted shows `pending`, as one that was accepted does.
            passing=verification.submission_open and view.status.state is VerificationState.PENDING,
        )

    def _describe_recording(self, recording: Recording) -> Snapshot:
        visible = recording.without_passing_facts()
        status = self.policy.status(visible, now=visible.changed_at)
        view = view_without_links(visible, status, parse_name=self.parse_name, makes_transcripts=self.makes_transcripts)
        return Snapshot(
            kind=ChangeKind.RECORDING,
            id=recording.recording_id,
            client=None,
            sequence=recording.sequence,
            at=visible.changed_at,
            state=status.state.value,
            data=recordings.to_json(view, format_tel=canonical_tel),
        )


def _of_order(kind: ChangeKind, order: Order[Any], data: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        kind=kind,
        id=order.id,
        client=order.client,
        sequence=order.sequence,
        at=order.updated_at,
        state=data["state"],
        data=data,
        passing=data["state"] not in PUBLISHED_STATES[kind],
    )


def _describe_circuit(circuit: Circuit) -> Snapshot:
    return Snapshot(
        kind=ChangeKind.CIRCUIT,
        id=circuit.provider,
        client=None,
        sequence=circuit.sequence,
        at=circuit.at,
        state=circuit.state.value,
        data={
            "provider": circuit.provider,
            "state": circuit.state.value,
            "reason": circuit.reason,
            "sequence": circuit.sequence,
            "changed_at": to_rfc3339(circuit.at),
        },
    )


def parse_stream(event: Mapping[str, Any]) -> list[ItemWrite]:
    """Read a batch of the stream. All writes of the batch to one item become one, in the order of the last of each."""
    writes: dict[str, ItemWrite] = {}
    for record in event["Records"]:
        change = record["dynamodb"]
        key = change["Keys"]["pk"]["S"]
        earlier = writes.pop(key, None)
        writes[key] = ItemWrite(
            key=key,
            before=change.get("OldImage") if earlier is None else earlier.before,
            after=change.get("NewImage"),
            at=datetime.fromtimestamp(float(change["ApproximateCreationDateTime"]), UTC),
            expired=record.get("userIdentity", {}).get("principalId") == _TTL,
        )
    return list(writes.values())


def publish_batch(publisher: PublishChanges, event: Mapping[str, Any]) -> None:
    """Publish what a batch of the stream made visible. A write that cannot be published goes into the repair queue.

    Raises:
        StoreUnavailableError: the bus or the repair queue is down. The whole batch has to come again.
    """
    changes: dict[tuple[str, str], Change] = {}
    failed: list[str] = []
    writes = parse_stream(event)
    count(Metric.ITEMS_WRITTEN, len(writes))
    for write in writes:
        try:
            change = publisher.prepare(write)
        except SwitchboardError as error:
            logger.warning("change failed", extra=log_fields(error))
            failed.append(write.key)
        except Exception as error:  # noqa: BLE001 - the edge: a poison record must not stop the stream
            log_unexpected(error)
            failed.append(write.key)
        else:
            if change is not None:
                # Two items of one voice call give its present state twice.
                changes[change.snapshot.kind, change.snapshot.id] = change
    failed += publish_all(publisher, list(changes.values()))
    if failed:
        count(Metric.CHANGES_DEFERRED, publisher.repeat_later(failed))


def publish_all(publisher: PublishChanges, changes: list[Change]) -> list[str]:
    """Publish the changes, with one log line for each, and return the keys of those that have to be repeated.

    Raises:
        StoreUnavailableError: the bus is down.
    """
    failed = publisher.publish(changes)
    for change in changes:
        if change in failed:
            continue
        snapshot = change.snapshot
        logger.info(
            "change",
            kind=snapshot.kind,
            id=snapshot.id,
            sequence=snapshot.sequence,
            previous=change.previous,
            state=snapshot.state,
        )
    count(Metric.CHANGES_PUBLISHED, len(changes) - len(failed))
    return [change.key for change in failed]

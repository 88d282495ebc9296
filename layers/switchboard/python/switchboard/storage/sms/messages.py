"""Store messages in the StateTable, as orders whose items also hold the delivery reports, and queue them in SQS."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.orders import Deadlines
from switchboard.domain.sms.delivery import ReportFact, StatusTable
from switchboard.domain.sms.messages import Message, SmsContent, TextMeasure, next_due
from switchboard.domain.timestamps import from_optional_rfc3339, from_rfc3339, to_rfc3339
from switchboard.ports.orders import ClaimAnswer
from switchboard.storage.aws import store_errors
from switchboard.storage.items import REPORT, SMSID_PREFIX, orphan_prefix, require_type
from switchboard.storage.orders.store import IS_UNSENT, DynamoDbOrderStore, OrderCodec
from switchboard.storage.sms.reports import DynamoDbReportStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


_ASKED: Final = "asked|"


class MessageCodec(OrderCodec[Message]):
    """The conversion of the facts that only messages have."""

    kind = "sms"
    key_prefix = SMSID_PREFIX

    def kind_values(self, order: Message) -> Mapping[str, Any]:
        return {
            "not_after": to_rfc3339(order.not_after) if order.not_after else None,
            "measure": asdict(order.measure) if order.measure else None,
            "bulk": order.bulk or None,
        }

    def order_from(self, values: Mapping[str, Any], common: Mapping[str, Any]) -> Message:
        content, measure = values.get("content"), values.get("measure")
        require_type(bool, values.get("bulk", False))
        return Message(
            **common,
            content=SmsContent(**content) if content else None,
            not_after=from_optional_rfc3339(values.get("not_after")),
            measure=TextMeasure(**{name: int(number) for name, number in measure.items()}) if measure else None,
            bulk=values.get("bulk", False),
            reports=reports_in(values),
            asked={
                name.removeprefix(_ASKED): from_rfc3339(at) for name, at in values.items() if name.startswith(_ASKED)
            },
            not_found_at=from_optional_rfc3339(values.get("not_found_at")),
        )


class DynamoDbMessageStore(DynamoDbOrderStore[Message], DynamoDbReportStore):
    """A MessageStore over one table. An item is kept for `retention` after its creation."""

    def __init__(
        self, *, client: DynamoDBClient, table: str, deadlines: Deadlines, statuses: StatusTable, retention: timedelta
    ) -> None:
        self._statuses = statuses
        super().__init__(
            client=client,
            table=table,
            codec=MessageCodec(),
            deadlines=deadlines,
            next_due=partial(next_due, deadlines=deadlines),
            retention=retention,
        )

    def record_canceled(self, smsid: str, *, at: datetime) -> ClaimAnswer[Message]:
        return self._change(
            smsid,
            update="SET canceled_at = :now, closed_at = :now REMOVE content, due, pending",
            condition=IS_UNSENT,
            values={":now": to_rfc3339(at)},
        )

    def record_asked(self, message: Message, names: Collection[str], *, at: datetime) -> None:
        asked = replace(message, asked={**dict.fromkeys(names, at), **message.asked})
        aliases = {f"#asked{number}": f"{_ASKED}{name}" for number, name in enumerate(names)}
        sets = [f"{alias} = if_not_exists({alias}, :at)" for alias in aliases]
        self._reconcile(
            message.id,
            update="SET " + ", ".join([*sets, "due = :due"]),
            condition="attempts = :attempts AND attribute_exists(pending)",
            names=aliases,
            values={
                ":at": to_rfc3339(at),
                ":due": to_rfc3339(self._next_due(asked) or at),
                ":attempts": len(message.claims),
            },
        )

    def record_not_found(self, smsid: str, *, at: datetime) -> None:
        self._change(
            smsid,
            update="SET not_found_at = if_not_exists(not_found_at, :at)",
            condition="attribute_exists(kind)",
            values={":at": to_rfc3339(at)},
        )


class SqsOutbox:
    """An Outbox of messages over two queues, so that a single message never waits behind `bulk` messages.

    It is an InquiryQueue too: inquiries wait with the `bulk` messages.

    `client` is called only when it is needed, which for most sends is never.
    """

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str, bulk_queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url
        self._bulk_queue_url = bulk_queue_url

    def put(self, *orders: Message, delay_s: int = 0) -> None:
        for message in orders:
            entry = {"smsid": message.smsid, "submit_before": to_rfc3339(message.submit_before)}
            with store_errors("put into outbox"):
                self._client().send_message(
                    QueueUrl=self._bulk_queue_url if message.bulk else self._queue_url,
                    MessageBody=json.dumps(entry),
                    DelaySeconds=delay_s,
                )

    def put_inquiry(self, message: Message, *, delay_s: int = 0) -> None:
        with store_errors("put inquiry"):
            self._client().send_message(
                QueueUrl=self._bulk_queue_url,
                MessageBody=json.dumps({"smsid": message.smsid, "inquiry": True}),
                DelaySeconds=delay_s,
            )


def reports_in(values: Mapping[str, Any]) -> tuple[ReportFact, ...]:
    """Return the reports about the item's own number, in the order in which they first came.

    An orphan is one of them if it names that number: it came before the message was created.
    """
    first_seen: dict[str, datetime] = {}
    prefixes = (REPORT, orphan_prefix(values["recipient"]))
    for name, value in values.items():
        for prefix in prefixes:
            if name.startswith(prefix):
                status, at = name.removeprefix(prefix), from_rfc3339(value)
                first_seen[status] = min(at, first_seen.get(status, at))
    facts = [ReportFact(status, at) for status, at in first_seen.items()]
    return tuple(sorted(facts, key=lambda fact: (fact.first_seen_at, fact.status)))

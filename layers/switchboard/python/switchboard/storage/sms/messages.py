"""Store messages in the StateTable, as orders whose items also hold the delivery reports, and queue them in SQS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from switchboard.domain.orders import Deadlines
from switchboard.domain.sms.delivery import ReportFact, StatusTable
from switchboard.domain.sms.messages import Message, SmsContent, TextMeasure, next_due
from switchboard.domain.timestamps import from_optional_rfc3339, from_rfc3339, to_rfc3339
from switchboard.storage.aws import store_errors
from switchboard.storage.items import REPORT, SMSID_PREFIX, orphan_prefix
from switchboard.storage.orders.store import DynamoDbOrderStore, OrderCodec
from switchboard.storage.sms.reports import DynamoDbReportStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


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
        return Message(
            **common,
            content=SmsContent(**content) if content else None,
            not_after=from_optional_rfc3339(values.get("not_after")),
            measure=TextMeasure(**{name: int(number) for name, number in measure.items()}) if measure else None,
            bulk=values.get("bulk", False),
            reports=_reports_in(values),
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


class SqsOutbox:
    """An Outbox of messages over two queues, so that a single message never waits behind `bulk` messages.

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


def _reports_in(values: Mapping[str, Any]) -> tuple[ReportFact, ...]:
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

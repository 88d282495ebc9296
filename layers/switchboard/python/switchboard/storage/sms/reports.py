"""Store delivery reports, and the codes that come with them, each by one write into its item and no read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.sms.delivery import (
    MAX_ORPHANS,
    MAX_UNLISTED_REPORTS,
    DeliveryMeaning,
    DeliveryReport,
    StatusTable,
)
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.verification.callbacks import CodeHash
from switchboard.ports.callbacks import EventPlace
from switchboard.storage.aws import conditional_update
from switchboard.storage.items import (
    CHANNEL,
    CODE,
    FALLBACK,
    REPORT,
    VERIFICATION,
    Item,
    expiry,
    message_key,
    orphan_prefix,
    to_attributes,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_SMS: Final = "sms"
_FAILURES: Final = frozenset({DeliveryMeaning.FAILED, DeliveryMeaning.UNDELIVERED})
_SET_ONCE: Final = "SET #fact = if_not_exists(#fact, :seen)"
# What the sweep would record after the window. No claim is granted on a closed message.
_CLOSE: Final = ", closed_at = if_not_exists(closed_at, :seen) REMOVE content, due, pending"


class DynamoDbCodeStore:
    """A CodeStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def record_code(self, verification_id: str, code: CodeHash) -> bool:
        # A report of another number must not add an attribute: its sender could fill the item with them.
        names_our_number = " AND #recipient = :recipient" if code.recipient is not None else ""
        recipient_name = {"#recipient": "recipient"} if code.recipient is not None else {}
        written, _ = conditional_update(
            self._client,
            "record code",
            TableName=self._table,
            Key=message_key(verification_id),
            UpdateExpression="SET #code = if_not_exists(#code, :code)",
            ConditionExpression=f"#kind IN (:kind, :channel){names_our_number}",
            ExpressionAttributeNames={"#code": f"{CODE}{code.recipient or ''}", "#kind": "kind", **recipient_name},
            ExpressionAttributeValues=to_attributes(
                {
                    ":code": {"key": code.key_version, "digest": code.digest.hex(), "at": to_rfc3339(code.at)},
                    ":kind": VERIFICATION,
                    ":channel": CHANNEL,
                    ":recipient": code.recipient,
                }
            ),
        )
        return written


class DynamoDbReportStore(DynamoDbCodeStore):
    """A ReportStore, and a CodeStore, over one table. What comes first under an id is kept for `retention`.

    A status of the table `statuses`, which is closed, has an attribute of its own in the item, if the report names the
    item's number or none: it always finds room. All other reports of one id share two counted places, so that no sender
    can fill an item.
    """

    def __init__(self, *, client: DynamoDBClient, table: str, statuses: StatusTable, retention: timedelta) -> None:
        super().__init__(client=client, table=table)
        self._statuses = statuses
        self._retention = retention

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> EventPlace:
        place = self._record_in_item(report, seen_at)
        return place or self._record_orphan(report, seen_at)

    def _record_in_item(self, report: DeliveryReport, seen_at: datetime) -> EventPlace | None:
        """Add the report to the item of its id.

        Returns:
            None if there is no such item, or it is about another number.
        """
        fact, meaning = f"{REPORT}{report.status}", self._statuses[report.status].meaning
        if meaning is DeliveryMeaning.UNLISTED:
            return self._record_unlisted(report, fact, seen_at)
        if meaning is DeliveryMeaning.DELIVERED:
            written, existing = self._write(
                report, seen_at, fact, update=_SET_ONCE + _CLOSE, condition=" AND #kind = :sms", values={":sms": _SMS}
            )
            if written:
                return EventPlace.RECORDED
            if not _is_about_item(report, existing):
                return None
            # The item is a verification: its number is verified by the code, and its own deadline goes on.
        written, item = self._write(report, seen_at, fact, update=_SET_ONCE)
        if written and FALLBACK in item and self._is_not_arriving(item):
            return EventPlace.NOT_ARRIVING
        return EventPlace.RECORDED if written else None

    def _is_not_arriving(self, item: Item) -> bool:
        """Return whether the reports in an item say that its SMS does not arrive. The best of them decides."""
        statuses = (name.removeprefix(REPORT) for name in item if name.startswith(REPORT))
        meanings = {self._statuses[status].meaning for status in statuses}
        return DeliveryMeaning.DELIVERED not in meanings and not meanings.isdisjoint(_FAILURES)

    def _record_unlisted(self, report: DeliveryReport, fact: str, seen_at: datetime) -> EventPlace | None:
        written, existing = self._write(
            report,
            seen_at,
            fact,
            update="SET #fact = :seen, unlisted = if_not_exists(unlisted, :none) + :one",
            condition=" AND attribute_not_exists(#fact) AND (attribute_not_exists(unlisted) OR unlisted < :most)",
            values={":none": 0, ":one": 1, ":most": MAX_UNLISTED_REPORTS},
        )
        if written or (_is_about_item(report, existing) and fact in existing):
            return EventPlace.RECORDED
        return EventPlace.OVERFLOWED if _is_about_item(report, existing) else None

    def _write(
        self,
        report: DeliveryReport,
        seen_at: datetime,
        fact: str,
        *,
        update: str,
        condition: str = "",
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> tuple[bool, Item]:
        """Change the item if it is about the report's number, and meets the further `condition`.

        Returns:
            Whether it was updated, and the item, which is empty if there is none.
        """
        about = " AND recipient = :recipient" if report.recipient is not None else ""
        return conditional_update(
            self._client,
            "record report",
            TableName=self._table,
            Key=message_key(report.smsid),
            UpdateExpression=update,
            ConditionExpression=f"attribute_exists(#kind){about}{condition}",
            ExpressionAttributeNames={"#fact": fact, "#kind": "kind"},
            ExpressionAttributeValues=to_attributes(
                {":seen": to_rfc3339(seen_at), ":recipient": report.recipient, **values}
            ),
        )

    def _record_orphan(self, report: DeliveryReport, seen_at: datetime) -> EventPlace:
        """Keep a report that is about no item of ours, or about another number than the item's.

        Orphans never take the id. A message that is created later under it reads those that name its number.
        """
        fact = f"{orphan_prefix(report.recipient)}{report.status}"
        written, existing = conditional_update(
            self._client,
            "record orphan",
            TableName=self._table,
            Key=message_key(report.smsid),
            UpdateExpression=(
                "SET #fact = :seen, orphans = if_not_exists(orphans, :none) + :one,"
                " expires_at = if_not_exists(expires_at, :expiry)"
            ),
            ConditionExpression="attribute_not_exists(#fact) AND (attribute_not_exists(orphans) OR orphans < :most)",
            ExpressionAttributeNames={"#fact": fact},
            ExpressionAttributeValues=to_attributes(
                {
                    ":seen": to_rfc3339(seen_at),
                    ":expiry": expiry(seen_at, self._retention),
                    ":none": 0,
                    ":one": 1,
                    ":most": MAX_ORPHANS,
                }
            ),
        )
        return EventPlace.ORPHAN if written or fact in existing else EventPlace.OVERFLOWED


def _is_about_item(report: DeliveryReport, item: Item) -> bool:
    """Return whether the item is a message or verification of the number that the report names, if it names one."""
    number = item.get("recipient", {}).get("S")
    return "kind" in item and report.recipient in (None, number)

"""Store delivery reports in the StateTable: each is one unconditional write into the item of its message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.timestamps import to_rfc3339
from switchboard.storage.aws import store_errors
from switchboard.storage.items import expiry, message_key, report_attribute, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbReportStore:
    """A ReportStore over one table. An item is kept for `retention` after its first write."""

    def __init__(self, *, client: DynamoDBClient, table: str, retention: timedelta) -> None:
        self._client = client
        self._table = table
        self._retention = retention

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> bool:
        with store_errors("record report"):
            response = self._client.update_item(
                TableName=self._table,
                Key=message_key(report.smsid),
                UpdateExpression=(
                    "SET #report = if_not_exists(#report, :seen), expires_at = if_not_exists(expires_at, :expiry)"
                ),
                ExpressionAttributeNames={"#report": report_attribute(report)},
                ExpressionAttributeValues=to_attributes(
                    {":seen": to_rfc3339(seen_at), ":expiry": expiry(seen_at, self._retention)}
                ),
                ReturnValues="ALL_OLD",
            )
        return "kind" in response.get("Attributes", {})

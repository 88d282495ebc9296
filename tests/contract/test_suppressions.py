"""Test the store of suppressed numbers on moto, together with the read that every submission makes."""

from __future__ import annotations

import pytest

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.suppressions import Suppression
from switchboard.ports.listing import ListingQuery
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.storage.suppressions import DynamoDbSuppressionStore
from tests.builders import MINUTE, OTHER_RECIPIENT, RECIPIENT
from tests.contract.conftest import Aws
from tests.fakes import START


@pytest.fixture
def suppressions(aws: Aws, state_table_name: str) -> DynamoDbSuppressionStore:
    return DynamoDbSuppressionStore(client=aws.dynamodb, table=state_table_name)


def test_a_number_is_suppressed_until_its_suppression_ends(
    suppressions: DynamoDbSuppressionStore, dynamodb_messages: DynamoDbMessageStore
) -> None:
    assert suppressions.get(RECIPIENT) is None
    first = suppressions.put(RECIPIENT, reason="a wish", at=START)
    again = suppressions.put(RECIPIENT, reason=None, at=START + MINUTE)

    assert first == Suppression(RECIPIENT, "a wish", START)
    assert again == suppressions.get(RECIPIENT) == Suppression(RECIPIENT, None, START)
    assert dynamodb_messages.is_suppressed(RECIPIENT)
    assert not dynamodb_messages.is_suppressed(OTHER_RECIPIENT)
    assert suppressions.remove(RECIPIENT, at=START + 2 * MINUTE)
    assert not suppressions.remove(RECIPIENT, at=START + 2 * MINUTE)
    assert suppressions.get(RECIPIENT) is None
    assert not dynamodb_messages.is_suppressed(RECIPIENT)
    assert not suppressions.find(ListingQuery(limit=10)).items
    assert suppressions.put(RECIPIENT, reason=None, at=START + 3 * MINUTE).created_at == START + 3 * MINUTE
    assert dynamodb_messages.is_suppressed(RECIPIENT)


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_a_list_holds_every_suppression_once_newest_first(suppressions: DynamoDbSuppressionStore, limit: int) -> None:
    numbers = [f"+8190000000{number:02d}" for number in range(5)]
    for place, number in enumerate(numbers):
        suppressions.put(number, reason=None, at=START + place * MINUTE)
    listed, position = [], None
    while True:
        page = suppressions.find(ListingQuery(limit=limit, position=position))
        listed += [suppression.number for suppression in page.items]
        position = page.next_position
        if position is None:
            break

    assert listed == numbers[::-1]
    with pytest.raises(InvalidRequestError):
        suppressions.find(ListingQuery(limit=limit, position="2026-11-22T03:04:05.678Z#order1"))

"""Values of items are converted as boto3 converts them, without its import."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from switchboard.storage.items import from_attributes, to_attributes

NUMBERS = st.integers(-(10**38) + 1, 10**38 - 1) | st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=9
)
SCALARS = st.text() | NUMBERS | st.booleans() | st.binary() | st.sets(st.text(), min_size=1)
VALUES = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_values_are_converted_as_boto3_does(values: dict[str, Any]) -> None:
    attributes = to_attributes(values)

    expected = {name: TypeSerializer().serialize(value) for name, value in values.items() if value is not None}
    assert attributes == expected
    assert from_attributes(attributes) == {
        name: _unwrap(TypeDeserializer().deserialize(attribute)) for name, attribute in expected.items()
    }


def _unwrap(value: Any) -> Any:
    match value:
        case Binary():
            return value.__bytes__()
        case dict():
            return {name: _unwrap(inner) for name, inner in value.items()}
        case list():
            return [_unwrap(element) for element in value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1.5, id="float"),
        pytest.param({1, 2}, id="set of numbers"),
        pytest.param(object(), id="object"),
        pytest.param(10**40, id="more digits than DynamoDB keeps"),
    ],
)
def test_a_value_that_dynamodb_would_not_keep_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ArithmeticError)):
        to_attributes({"value": value})


@pytest.mark.parametrize(
    ("attribute", "plain"),
    [
        pytest.param({"NS": ["1", "2.5"]}, {Decimal(1), Decimal("2.5")}, id="set of numbers"),
        pytest.param({"BS": [b"a"]}, {b"a"}, id="set of bytes"),
    ],
)
def test_other_attributes_of_an_operator_are_read(attribute: dict[str, Any], plain: object) -> None:
    assert from_attributes({"value": attribute}) == {"value": plain}


def test_an_attribute_of_no_known_type_is_refused() -> None:
    with pytest.raises(TypeError):
        from_attributes({"value": {"X": "1"}})

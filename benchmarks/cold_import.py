"""CPU time until a fresh process could take its first event, against a handler that only makes a DynamoDB client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.contenders import Field
from benchmarks.rows import Row, ratio_row

_ROUNDS: Final = 12
_AIMS: Final = {"mediasms_delivery_webhook": 1.2, "send_sms": 1.5}


def cold_import_rows(field: Field) -> Iterator[Row]:
    """One row a handler, from processes that take turns. Everything is byte-compiled, as a layer should ship it."""
    contenders = {"bare": field.bare, **{name: field.ours[name] for name in _AIMS}}
    for each in contenders.values():
        each.run()
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(_ROUNDS):
        for name, each in contenders.items():
            spent[name].append(each.run().cold)
    for name, aim in _AIMS.items():
        yield ratio_row(f"cold import, {name}", ours=spent[name], baseline=spent["bare"], aim=aim)

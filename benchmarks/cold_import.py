"""CPU time until a new process is ready for its first event, against a handler with a DynamoDB client and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.contenders import Contenders
from benchmarks.rows import Row, ratio_row

_ROUNDS: Final = 12
_AIMS: Final = {"mediasms_delivery_webhook": 1.2, "send_sms": 1.5}


def cold_import_rows(contenders: Contenders) -> Iterator[Row]:
    """Measure one row a handler, in processes that take turns. All code is byte-compiled, as a layer should ship it."""
    handlers = {"bare": contenders.bare, **{name: contenders.ours[name] for name in _AIMS}}
    for handler in handlers.values():
        handler.run()
    cpu_s: dict[str, list[float]] = {name: [] for name in handlers}
    for _ in range(_ROUNDS):
        for name, handler in handlers.items():
            cpu_s[name].append(handler.run().cold_cpu_s)
    for name, aim in _AIMS.items():
        yield ratio_row(f"cold import, {name}", ours=cpu_s[name], baseline=cpu_s["bare"], aim=aim)

"""CPU time until a new process is ready for its first event, against a handler with a DynamoDB client and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.contenders import Contenders
from benchmarks.rows import Row, ratio_row

_ROUNDS: Final = 12
_GOALS: Final = {"mediasms_delivery_webhook": 0.95, "send_sms": 1.45}


def cold_import_rows(contenders: Contenders) -> Iterator[Row]:
    """Measure one row a handler, in processes that take turns. All code is byte-compiled, as a layer should ship it."""
    handlers = {"bare": contenders.bare, **{name: contenders.ours[name] for name in _GOALS}}
    for handler in handlers.values():
        handler.run()
    cpu_s: dict[str, list[float]] = {name: [] for name in handlers}
    for _ in range(_ROUNDS):
        for name, handler in handlers.items():
            cpu_s[name].append(handler.run().cold_cpu_s)
    for name, goal in _GOALS.items():
        yield ratio_row(f"cold import, {name}", ours=cpu_s[name], baseline=cpu_s["bare"], goal=goal)

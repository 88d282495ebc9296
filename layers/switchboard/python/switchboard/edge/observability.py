"""Holds what a container has once: its logger and its metrics collector, and the pause of its garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import single_metric

from switchboard.edge.metrics import Metric

logger = Logger()
metrics = Metrics()
_collector_lock = Lock()


def count(metric: Metric, value: int = 1) -> None:
    """Add `value` to a metric. Threads may call this: the collector itself is not made for several."""
    with _collector_lock:
        metrics.add_metric(name=metric, unit=metric.unit, value=value)


@contextmanager
def reporting(report: Callable[[], None]) -> Iterator[None]:
    """Run `report` at the end of the block, also if the block raises."""
    try:
        yield
    finally:
        report()


def record_gauges(provider: str, gauges: Mapping[Metric, float]) -> None:
    """Write the present value of each gauge, with the dimensions that a provider's other metrics have."""
    for metric, value in gauges.items():
        with single_metric(
            name=metric,
            unit=metric.unit,
            value=value,
            namespace=metrics.namespace,
            default_dimensions={"service": metrics.service or "", "provider": provider},
        ):
            pass


def record_by_mode(metric: Metric, mode: str, value: float = 1, *, test: bool = False) -> None:
    """Write a metric of verifications with the dimension `mode`, apart from the one without it."""
    dimensions = {"service": metrics.service or "", "provider": "mediasms", "mode": mode}
    if test:
        dimensions["test"] = "true"
    with single_metric(
        name=metric, unit=metric.unit, value=value, namespace=metrics.namespace, default_dimensions=dimensions
    ):
        pass


def end_imports() -> None:
    """Start garbage collection again, if the package stopped it, and spare what is imported by now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()

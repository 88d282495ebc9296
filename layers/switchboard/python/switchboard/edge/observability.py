"""The one logger and the one metrics collector of a function, named by its environment."""

from __future__ import annotations

from collections.abc import Mapping

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

logger = Logger()
metrics = Metrics()


def record_gauges(provider: str, gauges: Mapping[str, float]) -> None:
    """What stands at one moment, by the metric's name, with the dimensions that a provider's other metrics have."""
    for name, value in gauges.items():
        with single_metric(
            name=name,
            unit=MetricUnit.NoUnit,
            value=value,
            namespace=metrics.namespace,
            default_dimensions={"service": metrics.service or "", "provider": provider},
        ):
            pass

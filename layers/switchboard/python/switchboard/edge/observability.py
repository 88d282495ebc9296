"""The one logger and the one metrics collector of a function, named by its environment."""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics()

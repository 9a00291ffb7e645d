"""Clew's own logs and metrics: powertools' structured logger, and metrics in CloudWatch's embedded format.

Only the event functions import this: powertools costs 30 ms to import, and a request that brings spans need not wait
for it. On the laptop `CLEW_METRICS=0` keeps the metrics off standard output.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMESPACE = "Clew"
_ENABLED = os.environ.get("CLEW_METRICS", "1") != "0"

_SECONDS = frozenset({"oldest_message_age"})

logger = Logger(
    service="clew", logger_formatter=None, level=os.environ.get("CLEW_LOG_LEVEL", "INFO")
)


def emit(function: str, figures: Mapping[str, int]) -> None:
    """Write one record of metrics, by function; figures that are 0 are left out, and nothing is written for none."""
    told = {name: value for name, value in figures.items() if value}
    if not told or not _ENABLED:
        return
    metrics = Metrics(namespace=_NAMESPACE, service=function)
    for name, value in told.items():
        unit = MetricUnit.Seconds if name in _SECONDS else MetricUnit.Count
        metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()

"""Clew's own logs and metrics: powertools' structured logger, and metrics in CloudWatch's embedded format.

Imported by the event functions, and by the HTTP function only when it has something rare to tell: powertools costs
30 ms to import, which a cold request that brings spans need not pay. Spans received are counted by the consumer.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Mapping

ENABLED = os.environ.get("CLEW_TELEMETRY", "1") != "0"
"""The laptop stack and the tests set 0: their output is for people."""
_NAMESPACE = "Clew"
_IN_SECONDS = frozenset({"oldest_message_age"})


@cache
def start_logging(function: str) -> None:
    """Log what `chalicelib` logs from now on as one JSON object a line, with the function's name."""
    if ENABLED:
        # A powertools logger is the standard library's logger of its service's name, and so takes its children's too.
        Logger(service="chalicelib", level="INFO").append_keys(function=function)


def emit(function: str, figures: Mapping[str, int]) -> None:
    """Write one record of metrics, by function; figures that are 0 are left out, and nothing is written for none."""
    told = {name: value for name, value in figures.items() if value}
    if not told or not ENABLED:
        return
    metrics = Metrics(namespace=_NAMESPACE, service=function)
    for name, value in told.items():
        unit = MetricUnit.Seconds if name in _IN_SECONDS else MetricUnit.Count
        metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()

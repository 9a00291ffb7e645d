"""The schedule's Lambda: its own module, imported without `app.py`.

`app.py` imports it too, to register it, and so it imports its stage on first use.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint, Rate

from chalicelib import config

if TYPE_CHECKING:
    from chalice.app import CloudWatchEvent

schedules = Blueprint(__name__)

_TIME_RESERVE_MILLIS = 10_000
"""A step begins only if this much is left: a transaction with all its retries takes less."""


@schedules.schedule(Rate(1, unit=Rate.MINUTES), name="summarise")
def summarise(event: CloudWatchEvent) -> None:
    """Fold what has arrived, and roll up what is over."""
    from chalicelib import wiring
    from chalicelib.summarise.job import in_turn, summarise_shards
    from chalicelib.telemetry import emit, start_logging

    start_logging("summarise")
    context: Any = event.context
    now_unix_seconds = int(time.time())
    steps = summarise_shards(
        wiring.store(),
        in_turn(config.SHARDS_READ, now_unix_seconds),
        now_unix_seconds,
        time_left=lambda: context.get_remaining_time_in_millis() > _TIME_RESERVE_MILLIS,
        remembered=wiring.half_edge_cache(),
    )
    emit("summarise", {"fold_steps": steps})

"""The consumer's Lambda: its own module, imported without `app.py`.

`app.py` imports it too, to register it, and so it imports its stage on first use.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint

from chalicelib import config

if TYPE_CHECKING:
    from chalice.app import SQSEvent

consumer = Blueprint(__name__)

_BATCH_WINDOW_SECONDS = int(os.environ.get("CLEW_BATCH_WINDOW_SECONDS", "5"))
"""Longer: fewer commits, and so lower cost at low traffic. Shorter: spans are seen sooner."""
_CONCURRENCY_MAX = int(os.environ.get("CLEW_CONSUMERS_MAX", "2"))
_TIME_RESERVE_MILLIS = 15_000
"""A group begins only if this much is left: several times what a group of 10,000 spans takes."""


@consumer.on_sqs_message(
    queue=config.SPAN_QUEUE,
    batch_size=1_000,
    name="consume",
    maximum_batching_window_in_seconds=_BATCH_WINDOW_SECONDS,
    maximum_concurrency=_CONCURRENCY_MAX,
)
def consume(event: SQSEvent) -> None:
    """Store and count what the queue delivers; raising makes SQS deliver all of it again."""
    from chalicelib import wiring
    from chalicelib.consume.consumer import Consumer
    from chalicelib.telemetry import emit, start_logging

    start_logging("consume")
    records = event.to_dict()["Records"]
    consumed = Consumer(
        wiring.store(),
        wiring.dead_letters(),
        time.time_ns,
        time_left=lambda: _time_left(event.context),
        dictionaries=wiring.dictionaries(),
    ).consume(records)
    emit(
        "consume",
        {
            "messages_counted": consumed.messages,
            "spans_received": consumed.spans_received,
            "spans_stored": consumed.spans,
            "duplicate_messages": consumed.duplicate_messages,
            "dead_letters": consumed.dead_letters,
            "oldest_message_age": _oldest_age_seconds(records),
        },
    )


def _time_left(context: Any) -> bool:
    remaining: int = context.get_remaining_time_in_millis()
    return remaining > _TIME_RESERVE_MILLIS


def _oldest_age_seconds(records: list[dict[str, Any]]) -> int:
    sent = [
        int(record["attributes"]["SentTimestamp"]) for record in records if "attributes" in record
    ]
    return max(0, int(time.time()) - min(sent) // 1_000) if sent else 0

"""`make bench`: CPU a span of receive and consume, stored bytes and write units a span; a table, and JSON kept.

CPU is the process's own, the median of several runs beside a fixed reference loop, so that the machine's noise shows.
"""

from __future__ import annotations

import datetime
import gc
import json
import platform
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.counting import CountingStore, unplugged_store
from bench.load import chunked, requests
from chalicelib import config
from chalicelib.queue.message import payload_of
from chalicelib.receive.endpoint import receive_traces
from chalicelib.store.commit import Counted, commit
from chalicelib.store.consume import collector_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.queue.message import Message
    from chalicelib.store.items import ItemStore

RESULTS = Path(__file__).with_name("results")
_RUNS = 5
_SPANS = 10_240
_SPANS_PER_REQUEST = (1, 16, 64, 512)
_HEADERS = {"content-type": "application/x-protobuf"}
_NOW_NANO = 1_790_000_100 * 10**9


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Median over the runs."""
    figures = []
    for _ in range(_RUNS):
        gc.collect()
        before = time.process_time()
        work()
        figures.append(time.process_time() - before)
    return statistics.median(figures)


def reference_loop() -> None:
    """Always the same work: what this machine makes of it tells how fast it is today."""
    total = 0
    for i in range(1_000_000):
        total += i % 7


def receive_all(bodies: Sequence[bytes]) -> list[Message]:
    messages: list[Message] = []
    for body in bodies:
        answer = receive_traces(_HEADERS, body, _NOW_NANO // 10**9, messages.extend)
        assert answer.status == 200
    return messages


def consume_all(messages: Sequence[Message], store: ItemStore) -> None:
    """Groups as the consumer makes them, from compressed messages on."""
    spans_per_message = max(message.span_count for message in messages)
    per_group = max(1, min(config.GROUP_MESSAGES_MAX, config.GROUP_SPANS_MAX // spans_per_message))
    for group in chunked(messages, per_group):
        counted = [
            Counted(
                message.digest,
                message.received_unix_seconds,
                payload_of(config.TENANT, message, config.MESSAGE_PAYLOAD_BYTES_MAX),
            )
            for message in group
        ]
        with collector_paused():
            commit(store, counted, _NOW_NANO, config.SHARDS)


def measure(spans_per_request: int) -> dict[str, Any]:
    """Figures a span, at one size of request."""
    # Ten requests of one span tell as much as ten thousand, and take less time.
    spans = min(_SPANS, 1_000 * spans_per_request) // 16 * 16 or 16
    bodies = requests(7, spans, spans_per_request)
    messages = receive_all(bodies)
    counting = CountingStore()
    consume_all(messages, counting)

    def micros(work: Callable[[], Any]) -> float:
        return cpu_seconds(work) / spans * 1e6

    receive = micros(lambda: receive_all(bodies))
    consume = micros(lambda: consume_all(messages, CountingStore()))
    unplugged = unplugged_store()
    whole = micros(lambda: consume_all(messages, unplugged))
    return {
        "spans_per_request": spans_per_request,
        "request_bytes_per_span": sum(map(len, bodies)) / spans,
        "receive_micros": receive,
        "consume_micros": consume,
        "botocore_micros": whole - consume,
        "total_micros": receive + whole,
        "stored_bytes": {table: size / spans for table, size in counting.bytes.items()},
        "stored_bytes_total": sum(counting.bytes.values()) / spans,
        "write_units": {table: units / spans for table, units in counting.units.items()},
        "write_units_total": sum(counting.units.values()) / spans,
    }


def commit_id() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| spans a request | receive µs | consume µs | botocore µs | total µs | stored B | write units |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['spans_per_request']} | {row['receive_micros']:.1f} | {row['consume_micros']:.1f} "
        f"| {row['botocore_micros']:.1f} | {row['total_micros']:.1f} | {row['stored_bytes_total']:.0f} "
        f"| {row['write_units_total']:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    reference = cpu_seconds(reference_loop)
    rows = [measure(size) for size in _SPANS_PER_REQUEST]
    now = datetime.datetime.now(tz=datetime.UTC)
    result = {
        "commit": commit_id(),
        "date": now.isoformat(timespec="seconds"),
        "machine": {"python": platform.python_version(), "cpu": platform.machine()},
        "reference_loop_seconds": reference,
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{now:%Y-%m-%d}.json").write_text(json.dumps(result, indent=1) + "\n")
    print("CPU, stored bytes and write units a span; everything of a trace meets in one group.")
    print(f"Reference loop: {reference * 1e3:.0f} ms.\n")
    print(table(rows))
    print("\nBy table at 512 spans a request (markers m, segments f; transactions count twice):")
    for name, size in rows[-1]["stored_bytes"].items():
        print(f"  {name:24} {size:6.1f} B  {rows[-1]['write_units'][name]:.4f} write units")


if __name__ == "__main__":
    main()

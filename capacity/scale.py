"""Plans for a thousand, a hundred thousand and ten million spans a second: AWS's quotas, and the shards needed.

    figures of a span (recorded by `python -m bench`) ──┐
    keys of real key functions ──▶ busiest partitions ──┴─▶ plan ──▶ tables of docs/scale.md

Nothing is timed and no byte is compressed: the tables are the same on every machine, and a test compares the page with
them. `python -m capacity.scale` writes them; with `--million` it also sends a trace of a million spans, and 50,000
services, through the product's own code, and prints what that takes on this machine.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from capacity.counting import CountingStore
from capacity.pages import replace_between, table
from chalicelib import config
from chalicelib.consume.commit import PendingMessage, commit
from chalicelib.store.layout import (
    Level,
    marker_key,
    shard_of_block,
    shard_of_service,
    shard_of_trace,
    statistics_partition,
)
from chalicelib.store.targets import query_targets, statistics_in
from chalicelib.summarise.job import summarise_shards

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
RATES = (1_000, 100_000, 10_000_000)
"""Spans a second."""

# AWS's quotas of a new account; all but the first two can be raised.
PARTITION_WRITE_UNITS, PARTITION_READ_UNITS = 1_000, 3_000
TABLE_WRITE_UNITS_AT_FIRST, TABLE_WRITE_UNITS_MAX = 4_000, 40_000
TABLE_DOUBLES_MINUTES = 30
IN_FLIGHT_MAX = 120_000
LAMBDAS_MAX, LAMBDAS_PER_TEN_SECONDS = 1_000, 1_000
GATEWAY_REQUESTS_MAX = 10_000
LAMBDA_SECONDS_MAX = 900

# Figures of a span, from bench/results: 512 spans a request, 1,000 traces a second. Rounded to the worse side.
WRITE_UNITS = {
    "spans": {"chunks": 0.135},
    "index": {"blocks": 0.0115},
    "statistics": {
        "markers": 0.0041,
        "segments": 0.025,
        "halves": 0.023,
        "filters": 0.0008,
        "targets": 0.0007,
    },
}
"""Write units a span by table and kind of item; deletions of segments, halves and filters are included."""
CONSUME_SECONDS = 50e-6
"""Seconds a span of the consumer: 12 µs of CPU, and a group's calls of DynamoDB, one after the other."""
FOLD_SECONDS = 68e-6
"""Seconds a span of the schedule's function, if the waiting half-edges do not fit its cache; else a quarter of it."""
STORED_BYTES, HALF_BYTES = 40, 16
HALVES_PER_SPAN = 0.5
RECEIVE_SECONDS, RECEIVE_SECONDS_PER_SPAN = 0.012, 5e-6
"""Seconds a request, and a span in it, of a function with 512 MB, which has 0.29 of a CPU."""

HEADROOM = 0.5
"""The planned share of what a partition can take: loads vary in time."""
SHARDS_MAX = 64
"""The most shards: a commit has 90 actions, and 20 messages of 512 spans and 64 segments fit."""
FOLDS_AT_ONCE_MAX = LAMBDA_SECONDS_MAX // 60
"""The most folds at once: one begins each minute, with the next shard, and runs as long as the function may."""
HOT_SHARE = 1.0
"""The share of spans of the busiest service: all spans may be of one."""


class Plan(NamedTuple):
    """One rate, and the settings with which it fits."""

    rate: int
    spans_per_request: int
    stacks: int
    """The number of independent Clews, each with its own prefix, tables and queue."""
    shards: int
    index_shards: int
    consumers: int
    folds_at_once: int

    @property
    def stack_rate(self) -> float:
        return self.rate / self.stacks


def plan(rate: int) -> Plan:
    """Return the fewest stacks, and the smallest settings of each, with which no partition exceeds its headroom."""
    stack_rate_max = min(
        FOLDS_AT_ONCE_MAX / FOLD_SECONDS,
        SHARDS_MAX * PARTITION_WRITE_UNITS * HEADROOM / WRITE_UNITS["statistics"]["segments"],
        TABLE_WRITE_UNITS_MAX / WRITE_UNITS["spans"]["chunks"],
        LAMBDAS_MAX / CONSUME_SECONDS,
    )
    stacks = ceil(rate / stack_rate_max)
    of_stack = rate / stacks
    folds = ceil(of_stack * FOLD_SECONDS)
    busiest = max(WRITE_UNITS["statistics"][kind] for kind in ("segments", "halves"))
    shards = ceil(of_stack * busiest / (PARTITION_WRITE_UNITS * HEADROOM))
    blocks = of_stack * WRITE_UNITS["index"]["blocks"] * HOT_SHARE
    return Plan(
        rate=rate,
        spans_per_request=512 if rate / 512 <= GATEWAY_REQUESTS_MAX * HEADROOM else 8_192,
        stacks=stacks,
        # Twice as many as folds at once, so that each run finds a shard that no other run works on.
        shards=max(shards, 2 * folds if folds > 1 else 1),
        index_shards=ceil(blocks / (PARTITION_WRITE_UNITS * HEADROOM)),
        consumers=max(2, ceil(of_stack * CONSUME_SECONDS / HEADROOM)),
        folds_at_once=folds,
    )


def entrance_table() -> str:
    rows = []
    for each in map(plan, RATES):
        requests = each.rate / each.spans_per_request
        seconds = RECEIVE_SECONDS + RECEIVE_SECONDS_PER_SPAN * each.spans_per_request
        receiving = ceil(requests * seconds)
        lambdas = receiving + each.stacks * (each.consumers + each.folds_at_once)
        of_stack = requests / each.stacks
        # A message is in flight from its receipt on: the batch window, and then as long as an event takes.
        in_flight = of_stack * (5 + config.GROUP_SPANS_MAX * CONSUME_SECONDS)
        rows.append(
            [
                f"{each.rate:,}",
                f"{each.spans_per_request:,}",
                f"{requests:,.0f}",
                f"{receiving:,}",
                f"{lambdas:,}",
                f"{10 * ceil(lambdas / LAMBDAS_PER_TEN_SECONDS)}",
                f"{in_flight:,.0f}",
            ]
        )
    return table(
        (
            *(
                "spans a second",
                "spans a request",
                f"requests a second (of {GATEWAY_REQUESTS_MAX:,})",
            ),
            *("receiving at once", f"functions at once (of {LAMBDAS_MAX:,})", "s until they run"),
            f"in flight a queue (of {IN_FLIGHT_MAX:,})",
        ),
        rows,
    )


def plan_table() -> str:
    rows = [
        [
            f"{each.rate:,}",
            f"{each.stacks}",
            f"{each.stack_rate:,.0f}",
            f"{each.shards}",
            f"{each.index_shards}",
            f"{each.consumers}",
            f"{each.folds_at_once}",
            f"{60 * each.stack_rate * FOLD_SECONDS / each.shards:.1f}",
        ]
        for each in map(plan, RATES)
    ]
    return table(
        (
            *("spans a second", "stacks", "spans a second each", "`CLEW_SHARDS`"),
            *(
                "`CLEW_INDEX_SHARDS`",
                "`CLEW_CONSUMERS_MAX`",
                f"folds at once (of {FOLDS_AT_ONCE_MAX})",
            ),
            "fold, s a minute and shard",
        ),
        rows,
    )


def partitions(write_units: float) -> int:
    """Return the partitions of a table with so many write units a second, with headroom. DynamoDB splits by itself."""
    return ceil(write_units / (PARTITION_WRITE_UNITS * HEADROOM))


def ramp(write_units: float) -> tuple[int, float]:
    """Return (minutes until a new table takes so many write units a second, age in minutes of the oldest message).

    Messages wait in the queue meanwhile. The simulation goes by the minute.
    """
    if write_units <= TABLE_WRITE_UNITS_AT_FIRST:
        return 0, 0.0
    backlog = oldest = 0.0
    minute = 0
    while True:
        takes = TABLE_WRITE_UNITS_AT_FIRST * 2 ** (minute / TABLE_DOUBLES_MINUTES)
        backlog = max(0.0, backlog + (write_units - takes) * 60)
        oldest = max(oldest, backlog / takes / 60)
        if takes >= write_units and not backlog:
            return ceil(
                TABLE_DOUBLES_MINUTES * log2(write_units / TABLE_WRITE_UNITS_AT_FIRST)
            ), oldest
        minute += 1


def tables_table() -> str:
    rows = []
    for each in map(plan, RATES):
        for name, kinds in WRITE_UNITS.items():
            units = each.stack_rate * sum(kinds.values())
            minutes, oldest = ramp(units)
            rows.append(
                [
                    f"{each.rate:,}",
                    f"`{name}`",
                    f"{units:,.0f}",
                    f"{partitions(units)}",
                    f"{minutes}",
                    f"{oldest:.0f}",
                ]
            )
    return table(
        (
            *("spans a second", "table", f"write units a second (of {TABLE_WRITE_UNITS_MAX:,})"),
            *("partitions", "min until it takes them", "oldest message by then, min"),
        ),
        rows,
    )


def busiest_share(numbers: Iterable[int], count: int) -> float:
    """Return the share of the busiest of `count` places."""
    counts = [0] * count
    for number in numbers:
        counts[number] += 1
    return max(counts) / sum(counts)


KEYS = 100_000
SERVICES = 1_000


def sample_trace_ids(count: int = KEYS) -> list[bytes]:
    rng = random.Random(5)
    return [rng.randbytes(16) for _ in range(count)]


def sample_services(count: int = SERVICES) -> list[str]:
    return [f"team-{i % 40}-service-{i}" for i in range(count)]


def sample_block_keys(count: int = KEYS // 10) -> list[bytes]:
    """Return sort keys of blocks of one hour: a start that only grows, and a digest."""
    first = 1_790_000_000 * 10**9
    return [
        (first + i * 3_600 * 10**9 // count).to_bytes(8, "big")
        + hashlib.sha256(i.to_bytes(8, "big")).digest()[:8]
        for i in range(count)
    ]


def physical(partition: str | bytes, count: int) -> int:
    """Return which of `count` partitions a partition key is in. DynamoDB hashes keys too, by another hash."""
    key = partition if isinstance(partition, bytes) else partition.encode()
    return int.from_bytes(hashlib.md5(key, usedforsecurity=False).digest()[:8], "big") % count


def partitions_table() -> str:
    """Return a table of the busiest partition key of each kind, in write units a second of a stack."""
    plans = [plan(rate) for rate in RATES]
    traces, services, blocks = sample_trace_ids(), sample_services(), sample_block_keys()
    chunks, markers = WRITE_UNITS["spans"]["chunks"], WRITE_UNITS["statistics"]["markers"]

    def line(kind: str, spread: str, units: list[float]) -> list[str]:
        return [kind, spread, *(f"{each:,.1f}" for each in units)]

    def spread_over_table(
        keys: list[bytes] | list[str], of_span: float, table_units: float
    ) -> list[float]:
        counts = [partitions(each.stack_rate * table_units) for each in plans]
        return [
            each.stack_rate * of_span * busiest_share((physical(key, n) for key in keys), n)
            for each, n in zip(plans, counts, strict=True)
        ]

    of_statistics = WRITE_UNITS["statistics"]
    digests = [marker_key(hashlib.sha256(each).digest()).partition for each in traces[:10_000]]
    rows = [
        line("chunks", "trace id", spread_over_table(traces, chunks, chunks)),
        line("markers", "digest", spread_over_table(digests, markers, sum(of_statistics.values()))),
        line(
            "blocks of one service that sends all",
            "hour, service, `CLEW_INDEX_SHARDS`",
            [
                each.stack_rate
                * WRITE_UNITS["index"]["blocks"]
                * busiest_share(
                    (shard_of_block(key, each.index_shards) for key in blocks), each.index_shards
                )
                for each in plans
            ],
        ),
        *(
            line(
                kind,
                "`CLEW_SHARDS`",
                [
                    each.stack_rate
                    * of_statistics[kind]
                    * busiest_share((shard_of_trace(t, each.shards) for t in traces), each.shards)
                    for each in plans
                ],
            )
            for kind in ("segments", "halves")
        ),
        line(
            "targets of one service that sends all",
            "service",
            [each.stack_rate * of_statistics["targets"] for each in plans],
        ),
    ]
    shares = [
        busiest_share((shard_of_service(s, each.shards) for s in services), each.shards)
        * each.shards
        for each in plans
    ]
    rows.append(
        [
            "services of the fullest shard, of an even share",
            "`CLEW_SHARDS`",
            *(f"{s:.2f}" for s in shares),
        ]
    )
    return table(
        (
            f"write units a second (of {PARTITION_WRITE_UNITS:,})",
            "spread by",
            *(f"at {rate:,}" for rate in RATES),
        ),
        rows,
    )


def one_trace_table(spans: int = 1_000_000) -> str:
    """Return a table of a trace of a million spans, all in one partition of `spans` and one shard."""
    chunk_bytes = spans * 24
    chunk_units = ceil(chunk_bytes / 1_024)
    halves = int(spans * HALVES_PER_SPAN)
    halves_units = 2 * ceil(halves * HALF_BYTES / 1_024)
    rows = [
        [
            "chunks, groups of 10,000",
            f"{spans // config.GROUP_SPANS_MAX:,} of {chunk_bytes / 1e6:.0f} MB in all",
        ],
        ["its partition takes them in", f"{chunk_units / PARTITION_WRITE_UNITS:.0f} s"],
        ["search rows of 256 spans", f"{ceil(spans / 256):,}"],
        ["half-edges, waiting for two windows", f"{halves:,}, {halves * HALF_BYTES / 1e6:.0f} MB"],
        ["their partition takes them in", f"{halves_units / PARTITION_WRITE_UNITS:.0f} s"],
        ["pages as columns", f"{ceil(spans / config.PAGE_SPANS)}"],
        ["read whole, by one partition", f"{chunk_bytes / 4_096 / PARTITION_READ_UNITS:.1f} s"],
        ["spans that a search looks at", f"{config.TRACE_SPANS_SEARCHED_MAX:,}"],
    ]
    return table(("what", "a million spans in one id"), rows)


def questions_table() -> str:
    """Return a table of the least number of queries for each question: its fan-out."""
    rows = [
        [
            f"{each.rate:,}",
            "1",
            f"{2 * each.shards + 2 * each.index_shards}",
            f"{each.shards + 2}",
            f"{2 * each.shards + 1}",
            f"{each.stacks}",
        ]
        for each in map(plan, RATES)
    ]
    return table(
        (
            *("spans a second", "trace", "search, a service and an hour", "statistics, minutes"),
            *("edges, minutes", "stacks to ask"),
        ),
        rows,
    )


TABLES = {
    "scale-plan": plan_table,
    "scale-entrance": entrance_table,
    "scale-tables": tables_table,
    "scale-partitions": partitions_table,
    "scale-trace": one_trace_table,
    "scale-questions": questions_table,
}


class Million(NamedTuple):
    """The figures of bad input at its full size on this machine."""

    what: str
    spans: int
    cpu_seconds: float
    write_units: int
    counted: int


def million(spans: int = 1_000_000, services: int = 50_000) -> list[Million]:
    """Send a trace of so many spans, and so many services, through commit and fold; return the figures of both."""
    return [_brought("one trace", spans, 1, 1), _brought("services", services, services, services)]


def _brought(what: str, spans: int, traces: int, services: int) -> Million:
    store, now_unix_seconds = CountingStore(), 1_790_000_000
    before = time.process_time()
    for first in range(0, spans, config.GROUP_SPANS_MAX):
        numbers = range(first, min(spans, first + config.GROUP_SPANS_MAX))
        content = _payload(numbers, traces, services)
        message = PendingMessage(hashlib.sha256(content).digest(), now_unix_seconds, content)
        commit(store, [message], now_unix_seconds * 10**9 + first, 1)
    summarise_shards(store, [0], now_unix_seconds)
    units = sum(store.write_units.values())
    return Million(
        what=what,
        spans=spans,
        cpu_seconds=time.process_time() - before,
        write_units=units,
        counted=_counted(store, now_unix_seconds),
    )


def _payload(numbers: range, traces: int, services: int) -> bytes:
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    data = TracesData()
    for number in numbers:
        if number == numbers[0] or services > 1:
            resource_spans = data.resource_spans.add()
            attribute = resource_spans.resource.attributes.add(key="service.name")
            attribute.value.string_value = f"service-{number % services}"
            of_scope = resource_spans.scope_spans.add().spans
        start = 1_790_000_000 * 10**9 + number
        of_scope.add(
            trace_id=(number % traces + 1).to_bytes(16, "big"),
            span_id=(number + 1).to_bytes(8, "big"),
            name=f"GET /items/{number}",
            kind=2,
            start_time_unix_nano=start,
            end_time_unix_nano=start + 1_000_000,
        )
    return data.SerializeToString()


def _counted(store: CountingStore, now_unix_seconds: int) -> int:
    """Return the number of entry spans in the hour's targets, over all listed services."""
    from chalicelib.query.parameters import Range
    from chalicelib.query.services import hours_of_services

    asked = Range((now_unix_seconds - 3_600) * 10**9, (now_unix_seconds + 3_600) * 10**9)
    first, last = now_unix_seconds // 60 - 60, now_unix_seconds // 60 + 60
    return sum(
        statistics_in(value, pending=False).entry.calls
        for service in hours_of_services(store, asked, now_unix_seconds)
        for _, value in query_targets(
            store, statistics_partition(service), Level.MINUTE, first, last, now_unix_seconds
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m capacity.scale", description=__doc__)
    parser.add_argument("--million", action="store_true", help="bad input at its full size, too")
    arguments = parser.parse_args()
    for name, make in TABLES.items():
        content = make()
        print(f"\n{name}\n{content}")
        replace_between(PAGE, name, content)
    if arguments.million:
        for each in million():
            print(each)
            assert each.counted == each.spans, "a span is lost or counted twice"


if __name__ == "__main__":
    main()

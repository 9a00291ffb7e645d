"""Measures answers: CPU, requests, read units and bytes, with few and with many spans stored."""

from __future__ import annotations

import gc
import random
import statistics
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.timing import cpu_seconds
from capacity.counting import CountingStore
from capacity.load import (
    SERVICES,
    SERVICES_PER_TRACE,
    SPANS_PER_TRACE,
    chunked,
    request_body,
    trace,
)
from capacity.stages import consumer_of, receive, record_of
from chalicelib import config
from chalicelib.http.respond import json_answer
from chalicelib.model.clew_pb2 import FoldState
from chalicelib.native.columns import streamed_columns
from chalicelib.native.parse import Parameters, search_from
from chalicelib.native.render import (
    attributes_json,
    edges_json,
    search_json,
    services_json,
    streamed_statistics,
)
from chalicelib.present.otlp_json import streamed_traces_data
from chalicelib.query.attributes import attributes_of_service
from chalicelib.query.edges import edges
from chalicelib.query.search import search_traces
from chalicelib.query.services import hours_of_services
from chalicelib.query.statistics import statistics as statistics_of
from chalicelib.query.trace import trace_by_id, trace_page
from chalicelib.store.half_edge_cache import HalfEdgeCache
from chalicelib.store.shard import fold_state_put
from chalicelib.summarise.job import summarise_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.consume.consumer import Consumer
    from chalicelib.http.answer import Answer

SPANS = (10_000, 100_000, 1_000_000)
BEGIN_UNIX_SECONDS = 497_223 * 3_600
NOW_UNIX_SECONDS = BEGIN_UNIX_SECONDS + 3_600
ASKED_SERVICE = SERVICES[2]
LARGE_TRACE_SPANS, HUGE_TRACE_SPANS = 10_000, 100_000
RUNS = 5
_SECOND_NANO = 10**9
_HOUR_SECONDS, _FILLED_SECONDS, _UNFOLDED_SECONDS = 3_600, 3_500, 40
FIRST_VERSION = 100_000
_SPANS_PER_GROUP = 9_728
FOLD = f"fold of {_SPANS_PER_GROUP:,} spans more"
_SECONDS_PER_FOLD = 240
"""The interval between two folds. It is a minute when deployed, which would take too long here."""


class Stored:
    """A store with an hour of spans, committed group by group and folded now and then. The last ones are not folded."""

    def __init__(
        self, spans: int, skipped_seconds: int = 0, seconds_per_fold: int = _SECONDS_PER_FOLD
    ) -> None:
        """`spans` is the number for the whole hour; those of the first `skipped_seconds` are left out."""
        self.store = CountingStore()
        self.spans_per_second = spans / _HOUR_SECONDS
        # The shard has run for hours: earlier steps, whose half-edges may wait, have numbers too.
        self.store.transact([fold_state_put(0, 0, FoldState(version=FIRST_VERSION))])
        self._second = float(BEGIN_UNIX_SECONDS)
        self._consumer = consumer_of(self.store, lambda: int(self._second * _SECOND_NANO))
        rng = self._rng = random.Random(13)
        seconds = _FILLED_SECONDS - skipped_seconds
        groups = max(1, round(spans * seconds / _FILLED_SECONDS / _SPANS_PER_GROUP))
        folded = begin = float(BEGIN_UNIX_SECONDS + skipped_seconds)
        for _ in range(groups):
            begin += seconds / groups
            self._commit(self._traces(rng, begin - seconds / groups, seconds / groups), begin)
            if begin - folded >= seconds_per_fold:
                self._fold(begin)
                folded = begin
        self.large_trace_id = self._one_more(rng, LARGE_TRACE_SPANS)
        self._fold(NOW_UNIX_SECONDS - _UNFOLDED_SECONDS)
        self.small_trace_id = self._one_more(rng, SPANS_PER_TRACE)
        unfolded = int(self.spans_per_second * _UNFOLDED_SECONDS)
        self._commit(
            self._traces(rng, NOW_UNIX_SECONDS - _UNFOLDED_SECONDS, _UNFOLDED_SECONDS, unfolded),
            begin,
        )
        self.store.forget_counts()

    def _fold(self, second: float) -> None:
        summarise_shards(self.store, range(config.SHARDS), int(second))

    def _traces(
        self, rng: random.Random, begin: float, seconds: float, spans: int = _SPANS_PER_GROUP
    ) -> list[Any]:
        traces = spans // SPANS_PER_TRACE
        return [
            span
            for number in range(traces)
            for span in trace(
                rng, int((begin + number * seconds / traces) * _SECOND_NANO), _path(rng)
            )
        ]

    def commit_group(self, second: int) -> None:
        """Return a group of spans of the second before."""
        self._commit(self._traces(self._rng, second - 1, 1), second)

    def _commit(self, spans: list[Any], second: float) -> None:
        self._second = second
        _consume(self._consumer, spans, int(second))

    def _one_more(self, rng: random.Random, spans: int) -> bytes:
        # The trace does not touch the searched service: searches are not to find a trace of 10,000 spans.
        others = [place for place, name in enumerate(SERVICES) if name != ASKED_SERVICE]
        path = [rng.choice(others) for _ in range(spans // 4)]
        made = trace(rng, (NOW_UNIX_SECONDS - 50) * _SECOND_NANO, path)
        self._commit(made, NOW_UNIX_SECONDS - 40)
        trace_id: bytes = made[0].fields["trace_id"]
        return trace_id


def _consume(consumer: Consumer, spans: list[Any], second: int) -> None:
    messages = [
        message for batch in chunked(spans, 512) for message in receive(request_body(batch), second)
    ]
    consumer.consume([record_of(message) for message in messages])


def stored_trace(spans: int) -> tuple[CountingStore, bytes]:
    """Return a store with one trace, as the consumer commits it, and the trace's id."""
    store, rng = CountingStore(), random.Random(17)
    start = (NOW_UNIX_SECONDS - 50) * _SECOND_NANO
    made = trace(rng, start, [rng.randrange(len(SERVICES)) for _ in range(spans // 4)])
    consumer = consumer_of(store, lambda: NOW_UNIX_SECONDS * _SECOND_NANO)
    _consume(consumer, made, NOW_UNIX_SECONDS)
    trace_id: bytes = made[0].fields["trace_id"]
    return store, trace_id


def columns_of(store: CountingStore, trace_id: bytes) -> list[Any]:
    """Return the documents of all pages of a trace, as columns."""
    pages = [trace_page(store, trace_id, NOW_UNIX_SECONDS)]
    while cursor := pages[-1].next_cursor:
        pages.append(trace_page(store, trace_id, NOW_UNIX_SECONDS, cursor))
    return [streamed_columns(page) for page in pages]


def _path(rng: random.Random) -> list[int]:
    return rng.sample(range(len(SERVICES)), SERVICES_PER_TRACE)


def questions(stored: Stored) -> dict[str, Callable[[], list[Any]]]:
    """Return functions by the name of their question; each returns the documents of the answer, one for each page."""
    store = stored.store
    hour = {"start": [str(BEGIN_UNIX_SECONDS)], "end": [str(NOW_UNIX_SECONDS)]}
    asked = Parameters(hour, ("start", "end")).time_range(NOW_UNIX_SECONDS * _SECOND_NANO)
    service = ASKED_SERVICE

    def search(**parameters: list[str]) -> list[Any]:
        wanted = {**hour, "service": [service], "limit": ["20"], **parameters}
        return [
            search_json(
                search_traces(
                    store, search_from(wanted, NOW_UNIX_SECONDS * _SECOND_NANO), NOW_UNIX_SECONDS
                )
            )
        ]

    remembered = HalfEdgeCache()
    edges(store, asked, NOW_UNIX_SECONDS, remembered)
    slow = {"attribute": ["http.request.method=GET"], "min_duration": ["30ms"]}
    return {
        "trace of 16 spans": lambda: [
            streamed_traces_data(trace_by_id(store, stored.small_trace_id, NOW_UNIX_SECONDS))
        ],
        "trace of 10,000 spans": lambda: [
            streamed_traces_data(trace_by_id(store, stored.large_trace_id, NOW_UNIX_SECONDS))
        ],
        "columns of 16 spans": lambda: columns_of(store, stored.small_trace_id),
        "columns of 10,000 spans": lambda: columns_of(store, stored.large_trace_id),
        "search: service": search,
        "search: service, attribute, duration": lambda: search(**slow),
        "services": lambda: [
            services_json(list(hours_of_services(store, asked, NOW_UNIX_SECONDS)))
        ],
        "attributes of a service": lambda: [
            attributes_json(attributes_of_service(store, service, asked, NOW_UNIX_SECONDS))
        ],
        "statistics of an hour": lambda: [
            streamed_statistics(statistics_of(store, service, asked, None, NOW_UNIX_SECONDS))
        ],
        "edges of an hour": lambda: [edges_json(edges(store, asked, NOW_UNIX_SECONDS))],
        "edges of an hour, asked again": lambda: [
            edges_json(edges(store, asked, NOW_UNIX_SECONDS, remembered))
        ],
    }


def measure(
    span_counts: tuple[int, ...] = SPANS,
    runs: int = RUNS,
    huge_trace_spans: int = HUGE_TRACE_SPANS,
) -> list[dict[str, Any]]:
    """Return a row for each question and number of stored spans, and one for a trace of several pages."""
    rows: list[dict[str, Any]] = []
    for spans in span_counts:
        rows += rows_of(partial(Stored, spans), spans, runs)
    store, trace_id = stored_trace(huge_trace_spans)
    name = f"columns of {huge_trace_spans:,} spans"
    row = _row(store, lambda: columns_of(store, trace_id), runs)
    return [*rows, {"question": name, "spans": huge_trace_spans, **row}]


def rows_of(
    fill: Callable[[], Stored], spans: int, runs: int = RUNS, hours: int = 1
) -> list[dict[str, Any]]:
    """Return a row for each question, and one for the fold, over a filled store."""
    began = time.monotonic()
    stored = fill()
    said = {"spans": spans, "hours": hours, "fill_seconds": time.monotonic() - began}
    with _out_of_sight():
        rows = [
            {"question": name, **said, **_row(stored.store, ask, runs)}
            for name, ask in questions(stored).items()
        ]
        rows.append({"question": FOLD, **said, **_fold_row(stored, runs)})
    return rows


@contextmanager
def _out_of_sight() -> Iterator[None]:
    """Hide the stored objects from Python's garbage collector while answers are timed."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _fold_row(stored: Stored, runs: int) -> dict[str, Any]:
    """One run of the schedule's function, which has run before, over a group that has just come.

    What was not folded yet is folded first, and not counted.
    """
    store, remembered, second = stored.store, HalfEdgeCache(), NOW_UNIX_SECONDS

    def fold() -> None:
        summarise_shards(store, range(config.SHARDS), second, remembered=remembered)

    fold()
    seconds = []
    for _ in range(runs):
        second += 1
        stored.commit_group(second)
        store.forget_counts()
        seconds.append(cpu_seconds(fold, 1))
    counts = {"requests": store.calls.total(), "read_units": store.read_units.total()}
    return {"cpu_millis": statistics.median(seconds) * 1e3, **counts}


def _row(store: CountingStore, ask: Callable[[], list[Any]], runs: int) -> dict[str, Any]:
    def answers() -> list[Answer]:
        return [json_answer(document, {"accept-encoding": "gzip"}) for document in ask()]

    store.forget_counts()
    answer_bytes = sum(len(answer.body) for answer in answers())
    counts = {"requests": store.calls.total(), "read_units": store.read_units.total()}
    return {"cpu_millis": cpu_seconds(answers, runs) * 1e3, **counts, "answer_bytes": answer_bytes}

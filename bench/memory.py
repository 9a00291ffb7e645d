"""Measures the peak memory of one piece of work, in a process of its own.

Another process makes the load before, for making it takes memory too.
"""

from __future__ import annotations

import gzip
import json
import pickle
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.answers import NOW_UNIX_SECONDS, stored_trace
from capacity.counting import CountingStore
from capacity.load import START_NANO, requests
from capacity.stages import GZIPPED, consume_all, consumer_of, receive, record_of
from chalicelib import config
from chalicelib.http.respond import json_answer
from chalicelib.model.clew_pb2 import Segment as SegmentMessage
from chalicelib.model.frame import dictionary_id, message_in, seal
from chalicelib.native.columns import streamed_columns
from chalicelib.query.trace import trace_page
from chalicelib.store import dictionary
from chalicelib.store.chunk import columns_and_frame
from chalicelib.store.layout import fold_partition, segment_sort_key
from chalicelib.store.shard import read_shard
from chalicelib.summarise.fold import ShardFold
from chalicelib.summarise.job import BACKLOG_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.store.items import Item

_PROJECT = Path(__file__).parents[1]
_NOW_NANO = START_NANO + 100 * 10**9
_NOW_UNIX_SECONDS = _NOW_NANO // 10**9
_EVENT_BYTES = 6_000_000


def _largest_request() -> bytes:
    """Return a gzipped request with as many spans as the limit on uncompressed bytes allows."""
    span_bytes = len(requests(7, 5_120, 5_120)[0]) / 5_120
    spans = int(config.UNCOMPRESSED_BYTES_MAX * 0.99 / span_bytes) // 16 * 16
    (body,) = requests(7, spans, spans)
    return gzip.compress(body, 1)


def _group() -> list[Any]:
    """Return the records of one full group."""
    return _records(config.GROUP_SPANS_MAX // 512 * 512, 512)


def _full_event() -> list[Any]:
    """Return records of 6 MB, as much as Lambda takes."""
    event: list[Any] = []
    size = 0
    for record in _records(320 * 512, 512):
        size += len(json.dumps(record))
        if size > _EVENT_BYTES:
            return event
        event.append(record)
    raise AssertionError(f"the load is too small: {size} bytes")


def _records(spans: int, spans_per_request: int, seed: int = 7) -> list[Any]:
    bodies = requests(seed, spans, spans_per_request)
    return [record_of(m) for body in bodies for m in receive(body, _NOW_UNIX_SECONDS)]


def _segments(spans_per_segment: int, segments: int) -> list[Item]:
    """Return segments of commits of this size: copies of one commit's segment with other trace ids."""
    store = CountingStore()
    messages = [
        message
        for body in requests(7, spans_per_segment, 512)
        for message in receive(body, _NOW_UNIX_SECONDS)
    ]
    consume_all(messages, store, _NOW_NANO)
    (segment,) = store.query(config.STATISTICS_TABLE, fold_partition(0))
    value = segment["v"]
    assert isinstance(value, bytes)
    rng = random.Random(5)
    return [
        {
            "p": fold_partition(0),
            "s": segment_sort_key(_NOW_NANO + number, bytes(8)) + "|0",
            "v": _of_other_traces(value, rng),
        }
        for number in range(segments)
    ]


def _of_other_traces(value: bytes, rng: random.Random) -> bytes:
    message = message_in(SegmentMessage, value)
    for entry in message.entries:
        if entry.HasField("halves"):
            entry.halves.trace_ids = rng.randbytes(len(entry.halves.trace_ids))
    return seal(message.SerializeToString(deterministic=True))


class _Discarding(CountingStore):
    """A store that keeps nothing: written items are not in the function's memory."""

    def _put(self, table: str, item: Item, *, in_transaction: bool) -> None:
        pass


def _receive(body: bytes) -> None:
    receive(body, _NOW_UNIX_SECONDS, GZIPPED)


def _consume(records: Sequence[Any]) -> None:
    consumer_of(_Discarding(), lambda: _NOW_NANO).consume(records)


def _fold(items: Sequence[Item]) -> None:
    """Run one step of the fold; later steps look at no more."""
    store = CountingStore()
    store.put_batch(config.STATISTICS_TABLE, items)
    ShardFold(store, 0, _NOW_UNIX_SECONDS).step(read_shard(store, 0, BACKLOG_MAX))


def _trace() -> tuple[bytes, list[Item]]:
    """Return a trace's id, and its chunks with their dictionary; it has more spans than a page takes."""
    store, trace_id = stored_trace(config.PAGE_SPANS * 3 // 2)
    chunks = list(store.query(config.SPANS_TABLE, trace_id))
    # The dictionary is added, for another process has not learned it.
    value = chunks[0]["v"]
    assert isinstance(value, bytes)
    number = dictionary_id(columns_and_frame(value)[1])
    learned = dictionary.dictionary_with_id(store, number)
    assert learned
    key: Item = {"p": dictionary.PARTITION, "s": number.to_bytes(4, "big")}
    return trace_id, [*chunks, {**key, "v": seal(learned.dict_content)}]


def _page(stored: tuple[bytes, Sequence[Item]]) -> None:
    """Answer a page of columns with attributes, which are most of it."""
    trace_id, items = stored
    store = CountingStore()
    store.put_batch(config.SPANS_TABLE, items)
    page = trace_page(store, trace_id, NOW_UNIX_SECONDS, with_attributes=True)
    json_answer(streamed_columns(page, with_attributes=True), {"accept-encoding": "gzip"})


WORKS: dict[str, tuple[str, str, Callable[[], Any], Callable[[Any], None]]] = {
    "receive": ("api_handler", "the largest request", _largest_request, _receive),
    "columns": ("api_handler", "a full page of columns, with attributes", _trace, _page),
    "consume": ("consume", "one group of 10,000 spans", _group, _consume),
    "consume-event": ("consume", "an event of 6 MB", _full_event, _consume),
    "fold": ("summarise", "400 segments of 512 spans", lambda: _segments(512, 400), _fold),
    "fold-full": ("summarise", "25 segments of 9,728 spans", lambda: _segments(9_728, 25), _fold),
}
"""Name → (Lambda function, load in words, function that makes the load, measured function)."""


def measure(names: Sequence[str] = tuple(WORKS)) -> dict[str, dict[str, Any]]:
    """Return by name the megabytes at the peak, and before the work with its load in memory."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name in names:
            load = Path(folder) / name
            _child("make", name, load)
            function, words, _, _ = WORKS[name]
            measured = json.loads(_child("run", name, load))
            found[name] = {"function": function, "load": words, **measured}
        return found


def _child(step: str, name: str, load: Path) -> str:
    command = [sys.executable, "-m", "bench.memory", step, name, str(load)]
    done = subprocess.run(command, cwd=_PROJECT, capture_output=True, text=True, check=True)
    return done.stdout


def _peak_megabytes() -> float:
    # ru_maxrss is in kilobytes on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def main(step: str, name: str, path: str) -> None:
    _, _, make, work = WORKS[name]
    if step == "make":
        Path(path).write_bytes(pickle.dumps(make()))
        return
    load = pickle.loads(Path(path).read_bytes())
    before, began = _peak_megabytes(), time.process_time()
    work(load)
    figures = {
        "before_megabytes": before,
        "peak_megabytes": _peak_megabytes(),
        "cpu_seconds": time.process_time() - began,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])

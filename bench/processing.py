"""Measures CPU a span of receive, consume, botocore and fold, and counts stored bytes and write units."""

from __future__ import annotations

import base64
import hashlib
import random
from typing import TYPE_CHECKING, Any

from bench.encodings import as_collector_writes, as_dotnet_writes
from bench.timing import RUNS, cpu_seconds, cpu_seconds_of_all
from bench.unplugged import unplug, unplugged_store
from capacity.cost import Machine
from capacity.counting import CountingStore
from capacity.load import START_NANO, Variety, requests, varied
from capacity.stages import consume_all, learned, receive, record_of
from chalicelib import config
from chalicelib.consume.consumer import message_from_record
from chalicelib.consume.half_edges import half_edges_of
from chalicelib.consume.segments import segments_of
from chalicelib.gc_pause import gc_paused
from chalicelib.model import zstd
from chalicelib.model.batch import batches_of
from chalicelib.model.canonical import canonical_of
from chalicelib.model.join import known_among
from chalicelib.model.shadow_pb2 import SpanColumns
from chalicelib.model.span import Scopes, scopes_of
from chalicelib.model.statistics import statistics_of
from chalicelib.queue.message import payload_of
from chalicelib.store.half_edge_cache import HalfEdgeCache
from chalicelib.store.items import Put
from chalicelib.store.packed import pack, runs_by_trace
from chalicelib.store.search_block import blocks_of
from chalicelib.store.search_row import rows_of
from chalicelib.store.shard import read_shard
from chalicelib.summarise.job import summarise_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.queue.message import Message
    from chalicelib.store.items import Item, ItemStore

SPANS_PER_REQUEST = (1, 16, 64, 512)
NOW_NANO = START_NANO + 100 * 10**9
NOW_UNIX_SECONDS = NOW_NANO // 10**9
SPANS = 10_240
_CALL_RUNS = 20
_ITEM_BYTES = 900
"""About the size of a chunk."""


def measure(spans_per_request: int, spans_max: int = SPANS, runs: int = RUNS) -> dict[str, Any]:
    """Return figures a span at one size of request. The spans of a trace are in one group if they all fit."""
    # A thousand requests of one span tell as much as ten thousand, and take less time.
    spans = max(16, min(spans_max, 1_000 * spans_per_request) // 16 * 16)
    bodies = requests(7, spans, spans_per_request)
    messages = [message for body in bodies for message in receive(body, NOW_UNIX_SECONDS)]
    counting = CountingStore()
    consume_all(messages, counting, NOW_NANO)
    written = sum(counting.write_units.values()) / spans
    put_bytes = {kind: size / spans for kind, size in counting.put_bytes.items()}
    unplugged = unplugged_store()
    receiving, consuming, whole = cpu_seconds_of_all(
        [
            lambda: [receive(body, NOW_UNIX_SECONDS) for body in bodies],
            lambda: consume_all(messages, CountingStore(), NOW_NANO),
            lambda: consume_all(messages, unplugged, NOW_NANO),
        ],
        runs,
    )
    micros = 1e6 / spans
    return {
        "spans_per_request": spans_per_request,
        "spans": spans,
        "request_bytes_per_span": sum(map(len, bodies)) / spans,
        "receive_micros": receiving * micros,
        "consume_micros": consuming * micros,
        "botocore_micros": (whole - consuming) * micros,
        "total_micros": (receiving + whole) * micros,
        "fold_micros": _fold_seconds(messages, runs) * micros,
        "stored_bytes": put_bytes,
        "stored_bytes_total": sum(put_bytes.values()),
        "write_units": {kind: n / spans for kind, n in counting.write_units.items()},
        "write_units_total": written,
    }


VARIETIES = {
    "the usual load": Variety(),
    "1,000 span names": Variety(span_names=1_000),
    "100 services": Variety(services=100),
    "50 attributes a span": Variety(attributes=50),
    "a trace state in each span": Variety(has_trace_state=True),
    "all of these": Variety(span_names=1_000, services=100, attributes=50),
}


def varieties(runs: int = RUNS, spans: int = SPANS) -> dict[str, dict[str, float]]:
    """Return CPU and stored bytes a span of more varied loads, at 512 spans a request."""
    return {name: _of_variety(variety, runs, spans) for name, variety in VARIETIES.items()}


def _of_variety(variety: Variety, runs: int, spans: int) -> dict[str, float]:
    return _of_bodies(varied(variety, 7, spans, 512), runs, spans)


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "OpenTelemetry's SDKs": bytes,
    "a Collector, from 0.133 on": as_collector_writes,
    ".NET's exporter": as_dotnet_writes,
}


def forms(runs: int = RUNS, spans: int = SPANS) -> dict[str, dict[str, float]]:
    """Return CPU and stored bytes a span of the usual load in other senders' encodings, at 512 spans a request."""
    bodies = requests(7, spans, 512)
    return {
        name: _of_bodies(list(map(write, bodies)), runs, spans) for name, write in FORMS.items()
    }


def _of_bodies(bodies: Sequence[bytes], runs: int, spans: int) -> dict[str, float]:
    messages = [message for body in bodies for message in receive(body, NOW_UNIX_SECONDS)]
    counting = CountingStore()
    consume_all(messages, counting, NOW_NANO)
    receiving, consuming = cpu_seconds_of_all(
        [
            lambda: [receive(body, NOW_UNIX_SECONDS) for body in bodies],
            lambda: consume_all(messages, CountingStore(), NOW_NANO),
        ],
        runs,
    )
    micros = 1e6 / spans
    return {
        "request_bytes": sum(map(len, bodies)) / spans,
        "receive_micros": receiving * micros,
        "consume_micros": consuming * micros,
        "fold_micros": _fold_seconds(messages, runs) * micros,
        "stored_bytes": sum(counting.put_bytes.values()) / spans,
    }


def consume_stages(runs: int = RUNS, spans: int = SPANS) -> dict[str, float]:
    """Return microseconds a span by stage of `consume`, each stage alone, at 512 spans a request."""
    stages = stages_of_consume(spans)
    with gc_paused():
        seconds = cpu_seconds_of_all(list(stages.values()), runs)
    return {name: each * 1e6 / spans for name, each in zip(stages, seconds, strict=True)}


def stages_of_consume(
    spans: int, new_store: Callable[[], ItemStore] = CountingStore
) -> dict[str, Callable[[], Any]]:
    """Return functions by the name of a stage; each call runs the stage over so many spans."""
    bodies = requests(7, spans, 512)
    messages = [message for body in bodies for message in receive(body, NOW_UNIX_SECONDS)]
    records = [record_of(message) for message in messages]
    payloads = [
        payload_of(config.TENANT, message, config.MESSAGE_PAYLOAD_BYTES_MAX) for message in messages
    ]

    batches = list(batches_of(payloads))
    traces = runs_by_trace(batches)
    rows = rows_of(batches)
    packed = list(map(pack, traces.values()))
    seal = learned().seal_for(NOW_UNIX_SECONDS, NOW_UNIX_SECONDS)
    return {
        "messages out of records": lambda: [message_from_record(record) for record in records],
        "payloads out of messages": lambda: [
            payload_of(config.TENANT, message, config.MESSAGE_PAYLOAD_BYTES_MAX)
            for message in messages
        ],
        "spans out of payloads": lambda: list(batches_of(payloads)),
        "chunks: packing": lambda: list(map(pack, runs_by_trace(batches).values())),
        "chunks: compressing": lambda: [seal(each.texts) for each in packed],
        "rows of the index": lambda: rows_of(batches),
        "blocks of the index": lambda: blocks_of(rows),
        "segments: statistics": lambda: statistics_of(batches),
        "segments: half-edges": lambda: half_edges_of(batches, config.SHARDS),
        "segments: all": lambda: segments_of(batches, config.SHARDS),
        "all of consume": lambda: consume_all(messages, new_store(), NOW_NANO),
    }


def floors(runs: int = RUNS, spans: int = SPANS) -> dict[str, float]:
    """Return microseconds a span of work that every receiver and store needs in Python.

    Each is a call into compiled code, or the smallest loop around one: a lower bound for Clew.
    """
    bodies = requests(7, spans, 512)
    scopes = Scopes()
    by_scope = [list(raws) for body in bodies for _, raws in scopes_of(body, scopes)]
    attributes = [each for raws in by_scope for each in _parsed(raws).attributes]
    hash_of = dict.fromkeys(attributes, 1).__getitem__
    columns = list(zip(*[range(len(attributes))] * 8, strict=True))[:spans]
    works: dict[str, Callable[[], Any]] = {
        "protobuf: requests, so that all that follows can rely on their form": lambda: [
            canonical_of(body) for body in bodies
        ],
        "protobuf: spans' own bytes": lambda: [
            list(raws) for body in bodies for _, raws in scopes_of(body, Scopes())
        ],
        "protobuf: their attributes": lambda: [_parsed(raws).attributes[:] for raws in by_scope],
        "a loop that takes five slices of each": lambda: [
            (raw[20:28], raw[30:38], raw[38:42], raw[42:60], raw[60:])
            for raws in by_scope
            for raw in raws
        ],
        "a loop that looks at eight fields of each": lambda: [
            None for _, _, _, _, _, _, _, _ in columns
        ],
        "a look-up for each attribute": lambda: list(map(hash_of, attributes)),
        "SHA-256, zstd and base64, of all bytes once": lambda: [
            (hashlib.sha256(body).digest(), base64.b64encode(zstd.compress(body)))
            for body in bodies
        ],
    }
    with gc_paused():
        seconds = cpu_seconds_of_all(list(works.values()), runs)
    return {name: each * 1e6 / spans for name, each in zip(works, seconds, strict=True)}


def _parsed(raws: Sequence[bytes]) -> SpanColumns:
    return SpanColumns.FromString(b"".join(raws))


def _fold_seconds(messages: Sequence[Message], runs: int) -> float:
    """Return CPU seconds of the schedule after these messages. Each run has its own store, for folding changes it."""
    stores = [CountingStore() for _ in range(runs)]
    for store in stores:
        consume_all(messages, store, NOW_NANO)
    waiting = iter(stores)
    return cpu_seconds(
        lambda: summarise_shards(next(waiting), range(config.SHARDS), NOW_UNIX_SECONDS), runs
    )


def machine(runs: int = RUNS) -> Machine:
    """Measure the CPU that the simulation of traffic leaves out."""
    calls = _call_cpu_seconds(runs)
    return Machine(
        request_cpu_seconds=_request_cpu_seconds(runs),
        invocation_cpu_seconds=max(0.0, _invocation_cpu_seconds(runs) - calls["Query"]),
        call_cpu_seconds=calls,
        halves_cpu_seconds_per_byte=_halves_cpu_seconds_per_byte(runs),
    )


def _request_cpu_seconds(runs: int) -> float:
    """Return CPU seconds of a warm request through Chalice and botocore, without those of `receive_traces`."""
    from bench.cold import http_event
    from local.functions import context_of

    unplug()
    from app import app

    (body,) = requests(7, 16, 16)
    event, context = http_event(body), context_of("api_handler")
    assert app(event, context)["statusCode"] == 200

    def through_app() -> None:
        for _ in range(_CALL_RUNS):
            app(event, context)

    def receive_alone() -> None:
        for _ in range(_CALL_RUNS):
            receive(body, NOW_UNIX_SECONDS)

    whole, alone = cpu_seconds_of_all([through_app, receive_alone], runs)
    return max(0.0, whole - alone) / _CALL_RUNS


def _invocation_cpu_seconds(runs: int) -> float:
    """Return CPU seconds of a warm invocation of the schedule that finds nothing, with botocore's query."""
    from local.functions import context_of

    unplug()
    from chalicelib.functions.summarise import summarise

    event = {
        "version": "0",
        "account": "1",
        "region": "us-east-1",
        "id": "1",
        "resources": [],
        "detail": {},
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "time": "2026-11-23T00:00:00Z",
    }
    context = context_of("summarise")

    def work() -> None:
        for _ in range(_CALL_RUNS):
            summarise(event, context)

    return cpu_seconds(work, runs) / _CALL_RUNS


def _call_cpu_seconds(runs: int) -> dict[str, float]:
    store = unplugged_store()
    rng = random.Random(3)
    items: list[Item] = [
        {"p": rng.randbytes(16), "s": rng.randbytes(16), "v": rng.randbytes(_ITEM_BYTES), "x": 1}
        for _ in range(25)
    ]
    table = config.SPANS_TABLE
    puts = [Put(table, item, "attribute_not_exists(p)") for item in items[:20]]
    keys: list[Item] = [{"p": item["p"], "s": item["s"]} for item in items]

    def times(work: Any) -> Any:
        return lambda: [work() for _ in range(_CALL_RUNS)]

    calls = {
        "BatchWriteItem": times(lambda: store.put_batch(table, items)),
        "TransactWriteItems": times(lambda: store.transact(puts)),
        "BatchGetItem": times(lambda: store.get_batch(table, keys)),
        "Query": times(lambda: list(store.query(table, b"p"))),
    }
    figures = cpu_seconds_of_all(list(calls.values()), runs)
    return {name: each / _CALL_RUNS for name, each in zip(calls, figures, strict=True)}


def _halves_cpu_seconds_per_byte(runs: int) -> float:
    """Return CPU seconds a byte of reading and caching half-edges that match nothing, as nearly all of them do."""
    store = CountingStore()
    bodies = requests(7, 2_048, 512)
    consume_all([m for body in bodies for m in receive(body, NOW_UNIX_SECONDS)], store, NOW_NANO)
    summarise_shards(store, [0], NOW_UNIX_SECONDS)
    state = read_shard(store, 0).state
    kept = list(HalfEdgeCache().waiting(store, 0, state))
    seconds = cpu_seconds(
        lambda: known_among(HalfEdgeCache().waiting(store, 0, state), set()), runs
    )
    return seconds / sum(each.message.ByteSize() for each in kept)

"""Everything that reads bytes of others: what is read, and which errors it may raise.

    bytes ──read──▶ an outcome in a word, or one of `errors`

A request that is accepted goes all the way: split into messages, committed, and read back in every dialect.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

from chalicelib import config
from chalicelib.errors import ClewError, InvalidPayload, StoreError
from chalicelib.jaeger import render as jaeger
from chalicelib.jaeger.ingest import payload_from_binary, payload_from_call
from chalicelib.model.batch import spans_of
from chalicelib.model.canonical import canonical_of, without_empty_groups
from chalicelib.model.clew_pb2 import EdgesTarget, StatisticsTarget
from chalicelib.model.edges import edges_from, merged_edges
from chalicelib.model.frame import reading, seal, unseal
from chalicelib.model.halves import halves_from, merged_halves
from chalicelib.model.join import NewHalves
from chalicelib.model.span import Scopes
from chalicelib.model.statistics import merged_statistics, statistics_from
from chalicelib.model.wire import varint_at
from chalicelib.native.columns import columns_json
from chalicelib.present.otlp_json import traces_data_json
from chalicelib.query.trace import summary_of, trace_by_id, trace_page
from chalicelib.queue.message import message_from_parts, payload_of
from chalicelib.receive.content import uncompressed
from chalicelib.receive.otlp import payload_from_protobuf
from chalicelib.receive.otlp_json import payload_from_json
from chalicelib.receive.split import messages_of
from chalicelib.store.chunk import PACKED_VERSION, built_in, built_in_seal, traces_data_of
from chalicelib.store.search_block import VERSION, rows_in
from chalicelib.store.segment import entries_in
from chalicelib.store.shard import filter_in
from chalicelib.store.targets import EDGES, STATISTICS, catalogue_of, edges_in, statistics_in
from chalicelib.store.traces import StoredChunk, distinct_spans
from chalicelib.zipkin import ingest as receive_zipkin
from chalicelib.zipkin import ingest_v1 as zipkin_v1
from chalicelib.zipkin import render as zipkin
from tests.memory_store import MemoryStore
from tests.payloads import NOON_UNIX_SECONDS
from tests.query.committed import put_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.receive.otlp import Normalised

CORPUS = Path(__file__).with_name("corpus")
GOLDEN = Path(__file__).parents[1] / "golden"
CONTENT = "-content"
_TRACES_READ_MAX = 3


class Decoder(NamedTuple):
    read: Callable[[bytes], str]
    errors: type[ClewError]
    """What alone it may raise."""
    calls_per_byte: float
    """How much work a byte may make, in calls of functions; an empty span may have no more than two bytes."""


def _received(normalise: Callable[[bytes], Normalised]) -> Callable[[bytes], str]:
    def read(body: bytes) -> str:
        normalised = normalise(body)
        kinds = "|".join(sorted(reason[:20] for reason in normalised.rejected))
        return f"{min(normalised.span_count, 3)} spans, rejected {kinds}"

    return read


def goes_on(normalised: Normalised) -> int:
    """What has been accepted is canonical, and can be stored and read in every dialect; how many spans came back."""
    assert without_empty_groups(canonical_of(normalised.payload)) == normalised.payload
    messages = messages_of(
        normalised.payload, normalised.span_count, config.TENANT, NOON_UNIX_SECONDS
    )
    assert sum(message.span_count for message in messages) == normalised.span_count
    store = MemoryStore()
    trace_ids: dict[bytes, None] = {}
    for message in messages:
        payload = payload_of(config.TENANT, message, config.MESSAGE_PAYLOAD_BYTES_MAX)
        trace_ids.update((span.trace_id, None) for span in spans_of(payload, Scopes()))
        put_payload(store, payload)
    spans_read = 0
    for place, trace_id in enumerate(trace_ids):
        spans = trace_by_id(store, trace_id, NOON_UNIX_SECONDS)
        spans_read += len(spans)
        if place < _TRACES_READ_MAX:
            documents = (
                jaeger.trace_json(spans, skew_max_nano=10**12),
                jaeger.summary_json(summary_of(spans), spans),
                zipkin.trace_json(spans),
                traces_data_json(spans),
                columns_json(
                    trace_page(store, trace_id, NOON_UNIX_SECONDS, with_attributes=True),
                    with_attributes=True,
                ),
            )
            for document in documents:
                orjson.dumps(document)
    return spans_read


def _message(data: bytes) -> str:
    """A line of body, and the frame."""
    body, _, frame = data.partition(b"\n")
    message = message_from_parts(body.decode(errors="replace"), frame)
    return f"{len(payload_of(config.TENANT, message, config.MESSAGE_PAYLOAD_BYTES_MAX))} bytes"


_TRACE_ID = bytes(range(1, 17))


def _chunk(value: bytes) -> str:
    chunk = StoredChunk(b"", len(value), traces_data_of(_TRACE_ID, value, built_in()))
    return f"{min(len(distinct_spans([chunk], config.SPANS_PER_REQUEST_MAX)), 3)} spans"


@reading("chunk")
def _packed(data: bytes) -> str:
    """A packed chunk with its texts as they are, so that damage reaches what is inside."""
    size, at = varint_at(data, 0)
    return _chunk(bytes((PACKED_VERSION,)) + data[: at + size] + built_in_seal(data[at + size :]))


def _segment(value: bytes) -> str:
    kinds = set()
    for entry in entries_in(value):
        if entry.HasField("statistics"):
            statistics_from(entry.statistics)
            merged_statistics([entry.statistics, entry.statistics])
            kinds.add("statistics")
        elif entry.HasField("edges"):
            edges_from(entry.edges)
            merged_edges([entry.edges, entry.edges])
            kinds.add("edges")
        else:
            halves_from(entry.halves)
            NewHalves(list(merged_halves([entry.halves, entry.halves])), 0)
            kinds.add("halves")
    return ", ".join(sorted(kinds))


def _targets(value: bytes) -> str:
    for pending in (False, True):
        statistics_in(value, pending=pending)
        edges_in(value, pending=pending)
    STATISTICS.grown(value, [StatisticsTarget().total])
    EDGES.grown(value, [EdgesTarget().total])
    catalogue_of(value)
    return "target"


def _filter(value: bytes) -> str:
    return f"{min(len(filter_in(value)), 3)} traces"


def _sealed(read: Callable[[bytes], str]) -> Callable[[bytes], str]:
    """Of contents: in a frame that is whole, so that damage reaches what is inside."""
    return lambda content: read(seal(content))


NORMALISERS: dict[str, Callable[[bytes], Normalised]] = {
    "otlp-protobuf": payload_from_protobuf,
    "otlp-json": payload_from_json,
    "zipkin-v1-json": zipkin_v1.payload_from_json,
    "zipkin-v1-thrift": zipkin_v1.payload_from_thrift,
    "zipkin-v2-json": receive_zipkin.payload_from_json,
    "zipkin-v2-proto3": receive_zipkin.payload_from_proto,
    "jaeger-binary": payload_from_binary,
    "jaeger-compact": payload_from_call,
}
DECODERS: dict[str, Decoder] = {
    **{name: Decoder(_received(read), InvalidPayload, 20) for name, read in NORMALISERS.items()},
    "compressed": Decoder(
        lambda body: f"{len(uncompressed({'content-encoding': 'deflate'}, body))} bytes",
        InvalidPayload,
        1,
    ),
    "message": Decoder(_message, InvalidPayload, 1),
    "chunk": Decoder(_chunk, StoreError, 15),
    f"chunk{CONTENT}": Decoder(_sealed(_chunk), StoreError, 15),
    "packed": Decoder(_packed, StoreError, 15),
    "search-block": Decoder(lambda value: f"{min(len(rows_in(value)), 3)} rows", StoreError, 15),
    f"search-block{CONTENT}": Decoder(
        _sealed(lambda value: f"{min(len(rows_in(value)), 3)} rows"), StoreError, 15
    ),
    # An entry may be empty, and then has two bytes.
    "segment": Decoder(_segment, StoreError, 120),
    f"segment{CONTENT}": Decoder(_sealed(_segment), StoreError, 120),
    "target": Decoder(_targets, StoreError, 15),
    f"target{CONTENT}": Decoder(_sealed(_targets), StoreError, 15),
    "trace-filter": Decoder(_filter, StoreError, 15),
    f"trace-filter{CONTENT}": Decoder(_sealed(_filter), StoreError, 15),
}


@cache
def corpus_of(name: str) -> tuple[bytes, ...]:
    """A decoder's inputs: what real clients sent, what Clew wrote, and what was once read wrongly."""
    sender, _, encoding = name.partition("-")
    paths = sorted(GOLDEN.glob(f"{sender}/*-{encoding}.bin"))
    paths += sorted(CORPUS.glob(f"{name.removesuffix(CONTENT)}/*"))
    found = [path.read_bytes() for path in paths]
    if name.endswith(CONTENT):
        found = list(map(content_in, found))
    return tuple(found)


def content_in(frame: bytes) -> bytes:
    """What is in a frame, of any version. Raises StoreError for none."""
    return unseal(frame, built_in(), VERSION)

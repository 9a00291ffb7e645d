"""Chunks: whole spans, readable alone, the same content the same item."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib import config
from chalicelib.errors import StoreError
from chalicelib.model import zstd
from chalicelib.model.batch import spans_of
from chalicelib.model.frame import CONTENT_BYTES_MAX, dictionary_id
from chalicelib.model.span import Scopes, Span
from chalicelib.store import chunk as chunk_module
from chalicelib.store.chunk import (
    DICTIONARY_PATH,
    TEXTS_BYTES_MAX,
    VALUE_BYTES_MAX,
    Chunk,
    built_in,
    chunks_of,
    columns_and_frame,
    traces_data_of,
)
from chalicelib.store.traces import read_spans
from tests.memory_store import MemoryStore
from tests.model.spans import batches, made_spans, spans
from tests.payloads import NOON_UNIX_SECONDS, Made, payload, trace_id

if TYPE_CHECKING:
    from collections.abc import Iterable


def noise(number: int, size: int) -> bytes:
    """Bytes that do not compress."""
    digests = (hashlib.sha256(b"%d %d" % (number, i)).digest() for i in range(size // 32 + 1))
    return b"".join(digests)[:size]


def identities(found: Iterable[Span]) -> list[tuple[bytes, bytes, bytes]]:
    return sorted((span.scope.resource_head, span.scope.scope_head, span.raw) for span in found)


def spans_in(chunk: Chunk) -> list[Span]:
    return list(spans_of(content_of(chunk), Scopes()))


def content_of(chunk: Chunk) -> bytes:
    return traces_data_of(chunk.trace_id, chunk.value, built_in())


@given(st.lists(made_spans, max_size=12))
def test_round_trip(made):
    """The chunks of spans hold those spans, each in a chunk of its trace, with resource and scope."""
    every = spans(made)
    chunks = chunks_of(batches(made))
    assert identities(span for chunk in chunks for span in spans_in(chunk)) == identities(every)
    for chunk in chunks:
        assert {span.trace_id for span in spans_in(chunk)} == {chunk.trace_id}
    assert len(chunks) == len({span.trace_id for span in every})


@given(st.lists(made_spans, min_size=1, max_size=8))
def test_what_is_read_is_what_was_sent(made):
    """OpenTelemetry's own parser finds in a trace's chunk what was sent of it."""
    of_one = [each._replace(trace=1) for each in made]
    (chunk,) = chunks_of(batches(of_one))
    assert sorted_spans(content_of(chunk)) == sorted_spans(payload(of_one))


def sorted_spans(content: bytes) -> TracesData:
    data = TracesData.FromString(content)
    for resource_spans in data.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            scope_spans.spans.sort(key=lambda span: span.SerializeToString(deterministic=True))
    return data


def test_same_content():
    """The same content is the same digest and bytes; any other is another."""
    one, same, other = (chunks_of(batches([Made(1, 1, name=name)]))[0] for name in ("a", "a", "b"))
    assert one == same
    assert len(one.digest) == 16
    assert one.digest != other.digest


@settings(deadline=None)
@given(st.lists(made_spans, min_size=1, max_size=30), st.integers(60, 1_000))
def test_split_anywhere(made, limit):
    """Whatever the limit, chunks above it hold a single span, and none is lost."""
    every = spans(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_module, "VALUE_BYTES_MAX", limit)
        chunks = chunks_of(batches(made))
    assert identities(span for chunk in chunks for span in spans_in(chunk)) == identities(every)
    for chunk in chunks:
        assert len(chunk.value) <= limit or len(spans_in(chunk)) == 1


def test_large_trace():
    """A trace over the item limit is several chunks within it, of whole spans, each readable alone."""
    made = [
        Made(1, i, attributes=(("noise", noise(i, 90_000)),), service=f"s{i % 2}")
        for i in range(1, 12)
    ]
    chunks = chunks_of(batches(made))
    assert len(chunks) > 2
    assert len({chunk.digest for chunk in chunks}) == len(chunks)
    assert max(len(chunk.value) for chunk in chunks) <= VALUE_BYTES_MAX
    assert identities(s for chunk in chunks for s in spans_in(chunk)) == identities(spans(made))


def test_large_trace_of_nothing():
    """A group's spans of one trace that compress to nothing are several chunks, each of which a reader takes."""
    texts = tuple((f"k{number}", "x" * 9_000) for number in range(10))
    of_message = [Made(1, number, attributes=texts) for number in range(1, 11)]
    chunks = chunks_of(batches(of_message) * config.GROUP_MESSAGES_MAX)
    contents = list(map(content_of, chunks))
    assert sum(map(len, contents)) > CONTENT_BYTES_MAX
    assert max(map(len, contents)) <= TEXTS_BYTES_MAX
    found = sum(len(spans_in(chunk)) for chunk in chunks)
    assert found == len(of_message) * config.GROUP_MESSAGES_MAX


def test_largest_span():
    """The largest span that is accepted fits an item, though nothing of it compresses."""
    noisy = Made(1, 1, attributes=(("noise", noise(1, config.SPAN_BYTES_MAX)),))
    (chunk,) = chunks_of(batches([noisy]))
    assert len(chunk.value) <= VALUE_BYTES_MAX


def test_a_chunk_names_its_dictionary():
    """A chunk names its dictionary in the frame's header; that one is among those that are read with."""
    (chunk,) = chunks_of(batches([Made(1, 1)]))
    number = dictionary_id(columns_and_frame(chunk.value)[1])
    assert number == zstd.ZstdDict(DICTIONARY_PATH.read_bytes()).dict_id != 0
    assert number in built_in()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_damaged_chunk_is_a_store_error(place):
    """A value whose version or frame is wrong, or whose end is missing, is StoreError."""
    (chunk,) = chunks_of(batches([Made(1, i) for i in range(1, 9)]))
    damaged = bytearray(chunk.value)
    damaged[place] ^= 0x55
    with pytest.raises(StoreError):
        traces_data_of(chunk.trace_id, bytes(damaged), built_in())
    with pytest.raises(StoreError):
        traces_data_of(chunk.trace_id, chunk.value[:-4], built_in())


def test_unknown_dictionary():
    """A chunk of a dictionary that this release has not is StoreError."""
    samples = [noise(i, 400) + b"shop" * 20 for i in range(200)]
    strange = zstd.train_dict(samples, 4_000)
    compressor = zstd.ZstdCompressor(zstd_dict=strange)
    frame = compressor.compress(b"a" * 500, zstd.ZstdCompressor.FLUSH_FRAME)
    assert dictionary_id(frame) not in built_in()
    with pytest.raises(StoreError):
        traces_data_of(trace_id(1), bytes((1, 2)) + frame, built_in())


class TestReadSpans:
    def store(self, *groups: list[Made], expiry: int = NOON_UNIX_SECONDS + 1) -> MemoryStore:
        store = MemoryStore()
        for group in groups:
            store.put_batch(
                config.SPANS_TABLE,
                [
                    {"p": chunk.trace_id, "s": chunk.digest, "v": chunk.value, "x": expiry}
                    for chunk in chunks_of(batches(group))
                ],
            )
        return store

    def read(self, store: MemoryStore, now: int = NOON_UNIX_SECONDS) -> list[int]:
        found = read_spans(store, trace_id(1), now)
        return sorted(int.from_bytes(span.span_id, "big") for span in found)

    def test_a_span_in_several_chunks_is_one(self):
        """A span that lies in several chunks is one."""
        one, two, three = (Made(1, i) for i in (1, 2, 3))
        store = self.store([one, two], [two, three], [three, two])
        assert len(store.items) == 3
        assert self.read(store) == [1, 2, 3]

    def test_different_spans_of_one_id(self):
        """Different spans under one id are all there, be the difference in span, resource or scope."""
        made = [
            Made(1, 1),
            Made(1, 1, name="other"),
            Made(1, 1, service="other"),
            Made(1, 1, resource=(("host.name", "h"),)),
        ]
        assert self.read(self.store(made[:2], made[2:])) == [1, 1, 1, 1]

    def test_expired_chunks_are_not_there(self):
        """What has expired is not there, whether DynamoDB has deleted it or not."""
        store = self.store([Made(1, 1)], expiry=NOON_UNIX_SECONDS)
        assert self.read(store, NOON_UNIX_SECONDS - 1) == [1]
        assert self.read(store, NOON_UNIX_SECONDS) == []

    def test_other_traces(self):
        """Only spans of the trace that was asked for are there."""
        groups: dict[int, list[Made]] = defaultdict(list)
        for i in range(1, 7):
            groups[i % 2].append(Made(1 + i % 2, i))
        assert self.read(self.store(*groups.values())) == [2, 4, 6]
        assert self.read(MemoryStore()) == []

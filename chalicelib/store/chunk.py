"""Chunks: what one group of messages holds of one trace, as one item of the table `spans`.

    batches of spans ──chunks_of──▶ Chunk(trace_id, digest, value) ──traces_data_of──▶ TracesData bytes

A chunk is readable alone. Its spans are packed, and what is left of them is compressed with a trained dictionary: a
typical trace then fits one write unit where it would take two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model import zstd
from chalicelib.model.frame import FORMAT_VERSION, content_of, reading, unseal
from chalicelib.model.wire import varint, varint_at
from chalicelib.store.packed import Packed, Run, pack, runs_by_trace, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from chalicelib.model.batch import SpanBatch

DICTIONARY_PATH = Path(__file__).with_name("dictionary_2.zdict")
"""The one that is written with until one is learned. A new one gets a new file; the old ones stay for reading."""
VALUE_BYTES_MAX = 390_000
"""An item has at most 409,600 bytes; the rest is for keys, expiry and what moto counts otherwise."""
TEXTS_BYTES_MAX = 10_000_000
"""The limit of the texts before they are compressed. A group may have 80 MB that compress to nothing: more than a
reader takes of one item, and than an answer holds. Usual groups have 3 MB of all their traces."""
DIGEST_BYTES = 16
PACKED_VERSION = 2
"""The first byte of a value with packed spans. Those of FORMAT_VERSION, which older releases wrote, hold TracesData."""
_LEVEL = 5
"""A write unit costs as much as 40 ms of Lambda: level 5 saves 3 % of the bytes for a microsecond a span."""


class Chunk(NamedTuple):
    trace_id: bytes
    digest: bytes
    """First 16 bytes of the SHA-256 of what is packed: the same spans are one item, however often they are written."""
    value: bytes


Seal = Callable[[bytes], bytes]
"""Texts of packed spans → a zstd frame whose header names its dictionary."""


@cache
def built_in() -> dict[int, zstd.ZstdDict]:
    """The dictionaries that come with Clew, by id."""
    found = (zstd.ZstdDict(path.read_bytes()) for path in DICTIONARY_PATH.parent.glob("*.zdict"))
    return {dictionary.dict_id: dictionary for dictionary in found}


@cache
def _built_in_compressor() -> zstd.ZstdCompressor:
    dictionary = zstd.ZstdDict(DICTIONARY_PATH.read_bytes())
    return zstd.ZstdCompressor(level=_LEVEL, zstd_dict=dictionary.as_digested_dict)


def built_in_seal(content: bytes) -> bytes:
    """Compress with the dictionary that comes with Clew."""
    return sealed_by(_built_in_compressor())(content)


def sealed_by(compressor: zstd.ZstdCompressor) -> Seal:
    """How a compressor with a dictionary seals."""

    def seal(content: bytes) -> bytes:
        return compressor.compress(content, zstd.ZstdCompressor.FLUSH_FRAME)

    return seal


def chunks_of(batches: Iterable[SpanBatch], seal: Seal = built_in_seal) -> list[Chunk]:
    """The chunks of a group's spans: one a trace, more where one would be too large to store, or to read."""
    return [
        chunk
        for trace_id, runs in runs_by_trace(batches).items()
        for chunk in _chunks_of_trace(trace_id, runs, seal)
    ]


def _chunks_of_trace(trace_id: bytes, runs: Sequence[Run], seal: Seal) -> Iterator[Chunk]:
    columns, texts = pack(runs)
    head = bytes((PACKED_VERSION,)) + varint(len(columns)) + columns
    parts = _halved(runs) if len(texts) > TEXTS_BYTES_MAX else []
    value = b"" if parts else head + seal(texts)
    if len(value) > VALUE_BYTES_MAX:
        parts = _halved(runs)
    if parts:
        for part in parts:
            yield from _chunks_of_trace(trace_id, part, seal)
    else:
        yield Chunk(trace_id, hashlib.sha256(head + texts).digest()[:DIGEST_BYTES], value)


def _halved(runs: Sequence[Run]) -> list[Sequence[Run]]:
    """Two parts of about as many runs, or of the spans of one; none for a single span."""
    if len(runs) > 1:
        middle = len(runs) // 2
        return [runs[:middle], runs[middle:]]
    batch, start, end = runs[0]
    if end - start == 1:
        return []
    middle = (start + end) // 2
    return [[Run(batch, start, middle)], [Run(batch, middle, end)]]


def traces_data_of(
    trace_id: bytes, value: bytes, dictionaries: Mapping[int, zstd.ZstdDict]
) -> bytes:
    """The TracesData bytes of the value of a trace's chunk.

    Raises StoreError if it is damaged, or of a version or dictionary that this release does not know.
    """
    if value[:1] == bytes((FORMAT_VERSION,)):
        return unseal(value, dictionaries)
    return _unpacked(trace_id, value, dictionaries)


@reading("chunk")
def _unpacked(trace_id: bytes, value: bytes, dictionaries: Mapping[int, zstd.ZstdDict]) -> bytes:
    if value[0] != PACKED_VERSION:
        raise ValueError(f"version {value[0]} is not known to this release")
    columns, frame = columns_and_frame(value)
    return unpack(trace_id, Packed(columns, content_of(frame, dictionaries)))


def columns_and_frame(value: bytes) -> tuple[bytes, bytes]:
    """What a value of PACKED_VERSION consists of. Raises ValueError or IndexError for one that is cut short."""
    size, at = varint_at(value, 1)
    return value[at : at + size], value[at + size :]

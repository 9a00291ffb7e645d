"""Reading traces back: the chunks of a trace id, all or some, and the rows of an hour's search blocks."""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.budget import Held
from chalicelib.model.batch import batches_in_order
from chalicelib.model.frame import reading
from chalicelib.model.names import key_name
from chalicelib.model.span import Scopes, Span
from chalicelib.store import layout
from chalicelib.store.chunk import traces_data_of
from chalicelib.store.dictionary import DictionariesIn
from chalicelib.store.items import (
    PARTITION_KEY,
    SORT_KEY,
    expiry_of,
    item_key,
    value_of,
)
from chalicelib.store.read_ahead import THREADS, ReadAhead
from chalicelib.store.search_block import rows_in

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from chalicelib.store.items import Item, ItemStore
    from chalicelib.store.search_row import SearchRow


_BEGUN_BYTES = 1_000_000
"""So much of a trace is read ahead: one page of a query."""


class StoredChunk(NamedTuple):
    digest: bytes
    """The chunk's sort key."""
    value_bytes: int
    """The bytes of the item's value, which is compressed."""
    content: bytes
    """TracesData bytes."""


def read_chunks(
    store: ItemStore, trace_id: bytes, now_unix_seconds: int, after: bytes = b""
) -> Iterator[StoredChunk]:
    """The chunks of a trace that have not expired, by digest; only those after the digest `after`.

    Read as it is iterated: who stops early does not read the rest.
    """
    # No digest is empty; the least key above a digest is that digest and a zero byte.
    low = after + b"\0" if after else None
    yield from chunks_in(store, store.query(config.SPANS_TABLE, trace_id, low), now_unix_seconds)


def read_some_chunks(
    store: ItemStore, trace_id: bytes, digests: Iterable[bytes], now_unix_seconds: int
) -> Iterator[StoredChunk]:
    """The chunks of a trace with these digests that are there and have not expired, by digest."""
    keys = [item_key(trace_id, digest) for digest in digests]
    items = store.get_batch(config.SPANS_TABLE, keys)
    items.sort(key=lambda item: item[SORT_KEY])
    yield from chunks_in(store, items, now_unix_seconds)


def chunks_in(
    store: ItemStore, items: Iterable[Item], now_unix_seconds: int
) -> Iterator[StoredChunk]:
    """The chunks of these items that have not expired. Raises StoreError for a damaged one."""
    dictionaries = DictionariesIn(store)
    for item in items:
        trace_id, digest = item[PARTITION_KEY], item[SORT_KEY]
        assert isinstance(trace_id, bytes)
        assert isinstance(digest, bytes)
        value = value_of(item)
        if expiry_of(item) > now_unix_seconds:
            yield StoredChunk(digest, len(value), traces_data_of(trace_id, value, dictionaries))


def begun(store: ItemStore, trace_id: bytes) -> Iterator[Item]:
    """The items of a trace's chunks, of which the first megabyte has been read; the rest is read as it is iterated.

    So a trace can be fetched before it is its turn, in another thread, and takes a megabyte until then.
    """
    items = store.query(config.SPANS_TABLE, trace_id)
    first, first_bytes = [], 0
    for item in items:
        first.append(item)
        first_bytes += len(value_of(item))
        if first_bytes >= _BEGUN_BYTES:
            break
    return chain(first, items)


class Room:
    """What may still be held of spans beside their number: bytes that they consist of, and parts, each of which is a
    distinct attribute, an event or a link."""

    def __init__(self, content_bytes: int, parts: int) -> None:
        self._content_bytes_max, self.parts_max = content_bytes, parts
        self.content_bytes = 0
        """Taken."""
        self.parts = 0

    def is_full(self) -> bool:
        return self.content_bytes > self._content_bytes_max or self.parts > self.parts_max


class SearchedTrace(NamedTuple):
    """What a search sees of a trace."""

    spans: list[Span]
    """The spans in no order; copies (same resource, scope and span bytes) are one."""
    room: Room
    """Taken by them."""

    @property
    def held(self) -> Held:
        """What who keeps the spans holds."""
        return Held(len(self.spans), self.room.content_bytes, self.room.parts)

    @property
    def is_cut_off(self) -> bool:
        """Whether these may not be all: of a trace with more than TRACE_SPANS_SEARCHED_MAX spans, or larger ones, they
        are the first, the same each time."""
        return self.room.is_full() or len(self.spans) >= config.TRACE_SPANS_SEARCHED_MAX


def searched_trace(store: ItemStore, items: Iterable[Item], now_unix_seconds: int) -> SearchedTrace:
    """The trace of these items, which `begun` gives. Raises StoreError for damaged ones."""
    room = Room(config.TRACE_CONTENT_BYTES_SEARCHED_MAX, config.TRACE_PARTS_SEARCHED_MAX)
    chunks = chunks_in(store, items, now_unix_seconds)
    return SearchedTrace(distinct_spans(chunks, config.TRACE_SPANS_SEARCHED_MAX, room), room)


def read_spans(store: ItemStore, trace_id: bytes, now_unix_seconds: int) -> list[Span]:
    """The spans of a trace, as a search sees them. Different spans under one id are all there. Empty for none."""
    return searched_trace(store, begun(store, trace_id), now_unix_seconds).spans


def read_traces(
    store: ItemStore, trace_ids: Sequence[bytes], now_unix_seconds: int
) -> Generator[tuple[bytes, list[Span]]]:
    """(Trace id, its spans as `read_spans` has them) of these traces, in their order; some are fetched side by side.

    Who does not iterate to the end closes it: then nothing is being fetched any more.
    """
    with ReadAhead(lambda trace_id: begun(store, trace_id)) as ahead:
        for place, trace_id in enumerate(trace_ids):
            items = ahead.of(trace_id, trace_ids[place + 1 : place + THREADS])
            yield trace_id, searched_trace(store, items, now_unix_seconds).spans


@reading("chunk")
def distinct_spans(
    chunks: Iterable[StoredChunk], spans_max: int, room: Room | None = None
) -> list[Span]:
    """The spans of some chunks of a trace; copies are one. Ends with the chunk that brings `spans_max`, or where there
    is no more room.

    Raises StoreError for chunks of which the content is none.
    """
    room = room or Room(sys.maxsize, sys.maxsize)
    scopes = Scopes()
    attributes = scopes.attributes
    found: dict[tuple[bytes, bytes, bytes], Span] = {}
    events_and_links = 0
    for chunk in chunks:
        room.content_bytes += len(chunk.content)
        if room.is_full():
            break
        for batch in batches_in_order(chunk.content, scopes):
            resource_head, scope_head = batch.scope.resource_head, batch.scope.scope_head
            # Most batches have none of either. What is within runs for every span.
            has_more = bool(batch.raw_events or batch.raw_links)
            for span in batch.spans():
                found.setdefault((resource_head, scope_head, span.raw), span)
                if has_more:
                    events_and_links += len(span.raw_events) + len(span.raw_links)
                    if len(attributes) + events_and_links > room.parts_max:
                        break
            if len(attributes) + events_and_links > room.parts_max:
                break
        room.parts = len(attributes) + events_and_links
        if room.is_full() or len(found) >= spans_max:
            break
    return list(found.values())


def read_rows(
    store: ItemStore,
    hour: int,
    service: str,
    now_unix_seconds: int,
    shard: int = 0,
    first_page_blocks: int | None = None,
) -> Iterator[list[SearchRow]]:
    """The search rows of one partition of an hour, a list for each block, the block with the latest start first.

    Blocks are in any of the shards below INDEX_SHARDS_READ. `first_page_blocks` is for those who may need no more.

    `service` is a service's name, for the blocks that are its own, or EVERY_SERVICE, for those that services share:
    what an hour holds of a service is in both.
    """
    partition = layout.index_partition(hour, key_name(service), shard)
    for item in store.query(
        config.INDEX_TABLE, partition, descending=True, first_page_items=first_page_blocks
    ):
        if expiry_of(item) > now_unix_seconds:
            yield rows_in(value_of(item))

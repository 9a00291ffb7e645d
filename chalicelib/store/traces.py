"""Reading traces back: the chunks of a trace id, all or some, and the rows of an hour's search blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.model.batch import spans_of
from chalicelib.model.frame import reading
from chalicelib.model.names import key_name
from chalicelib.model.span import Scopes, Span
from chalicelib.store import layout
from chalicelib.store.chunk import traces_data_of
from chalicelib.store.dictionary import DictionariesIn
from chalicelib.store.search_block import rows_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.store.items import Item, ItemStore
    from chalicelib.store.search_row import SearchRow


class StoredChunk(NamedTuple):
    digest: bytes
    """Its sort key."""
    value_bytes: int
    """Of the item's value, compressed."""
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
    yield from _unsealed(store, store.query(config.SPANS_TABLE, trace_id, low), now_unix_seconds)


def read_some_chunks(
    store: ItemStore, trace_id: bytes, digests: Iterable[bytes], now_unix_seconds: int
) -> Iterator[StoredChunk]:
    """Those of a trace's chunks with these digests that are there and have not expired, by digest."""
    keys: list[Item] = [{"p": trace_id, "s": digest} for digest in digests]
    items = store.get_batch(config.SPANS_TABLE, keys)
    items.sort(key=lambda item: item["s"])
    yield from _unsealed(store, items, now_unix_seconds)


def _unsealed(
    store: ItemStore, items: Iterable[Item], now_unix_seconds: int
) -> Iterator[StoredChunk]:
    dictionaries = DictionariesIn(store)
    for item in items:
        trace_id, digest, value, expiry = item["p"], item["s"], item["v"], item["x"]
        assert isinstance(trace_id, bytes)
        assert isinstance(digest, bytes)
        assert isinstance(value, bytes)
        assert isinstance(expiry, int)
        if expiry > now_unix_seconds:
            yield StoredChunk(digest, len(value), traces_data_of(trace_id, value, dictionaries))


def read_spans(store: ItemStore, trace_id: bytes, now_unix_seconds: int) -> list[Span]:
    """The spans of a trace, in no order; copies (same resource, scope and span bytes) are one.

    Different spans under one id are all there. Empty if there is none. Of a trace with more than
    TRACE_SPANS_SEARCHED_MAX so many or a few more, those of its first chunks, the same each time (see `is_cut_off`).
    """
    chunks = read_chunks(store, trace_id, now_unix_seconds)
    return distinct_spans(chunks, config.TRACE_SPANS_SEARCHED_MAX)


def is_cut_off(spans: Sequence[Span]) -> bool:
    """Whether these, of `read_spans`, may not be all."""
    return len(spans) >= config.TRACE_SPANS_SEARCHED_MAX


@reading("chunk")
def distinct_spans(chunks: Iterable[StoredChunk], spans_max: int) -> list[Span]:
    """The spans of some chunks of a trace; copies are one. Ends with the chunk that brings `spans_max`.

    Raises StoreError for chunks of which the content is none.
    """
    scopes = Scopes()
    found: dict[tuple[bytes, bytes, bytes], Span] = {}
    for chunk in chunks:
        for span in spans_of(chunk.content, scopes):
            found.setdefault((span.scope.resource_head, span.scope.scope_head, span.raw), span)
        if len(found) >= spans_max:
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
        value, expiry = item["v"], item["x"]
        assert isinstance(value, bytes)
        assert isinstance(expiry, int)
        if expiry > now_unix_seconds:
            yield rows_in(value)

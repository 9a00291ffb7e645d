"""Reading traces back: every chunk of a trace id, and the rows of an hour's search blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model.names import key_name
from chalicelib.model.span import Scopes, Span, spans_of
from chalicelib.store import layout
from chalicelib.store.chunk import traces_data_of
from chalicelib.store.dictionary import DictionariesIn
from chalicelib.store.search_block import rows_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.store.items import ItemStore
    from chalicelib.store.search_block import SearchRow


def read_chunks(store: ItemStore, trace_id: bytes, now_unix_seconds: int) -> list[bytes]:
    """TracesData bytes of each chunk of a trace that has not expired; empty if there is none."""
    chunks = []
    dictionaries = DictionariesIn(store)
    for item in store.query(config.SPANS_TABLE, trace_id):
        value, expiry = item["v"], item["x"]
        assert isinstance(value, bytes)
        assert isinstance(expiry, int)
        if expiry > now_unix_seconds:
            chunks.append(traces_data_of(value, dictionaries))
    return chunks


def read_spans(store: ItemStore, trace_id: bytes, now_unix_seconds: int) -> list[Span]:
    """The spans of a trace, in no order; copies (same resource, scope and span bytes) are one.

    Different spans under one id are all there. Empty if there is none.
    """
    scopes = Scopes()
    found: dict[tuple[bytes, bytes, bytes], Span] = {}
    for chunk in read_chunks(store, trace_id, now_unix_seconds):
        for span in spans_of(chunk, scopes):
            found.setdefault((span.scope.resource_head, span.scope.scope_head, span.raw), span)
    return list(found.values())


def read_rows(
    store: ItemStore, hour: int, service: str, now_unix_seconds: int
) -> Iterator[list[SearchRow]]:
    """The search rows of one partition of an hour, a list for each block, the block with the latest start first.

    `service` is a service's name, for the blocks that are its own, or EVERY_SERVICE, for those that services share:
    what an hour holds of a service is in both.
    """
    partition = layout.index_partition(hour, key_name(service))
    for item in store.query(config.INDEX_TABLE, partition, descending=True):
        value, expiry = item["v"], item["x"]
        assert isinstance(value, bytes)
        assert isinstance(expiry, int)
        if expiry > now_unix_seconds:
            yield rows_in(value)

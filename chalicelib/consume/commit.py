"""The commit of a group of messages: chunks, search blocks, then one transaction of markers and segments.

    messages ──group──▶ spans ─┬─ chunks ─────────▶ table spans        (may be written twice: readers drop copies)
                               ├─ search blocks ──▶ table index        (likewise)
                               └─ markers, segments ─ one transaction ─▶ table statistics

A marker is put only if it is not there. If one is, its message is counted already: it is left out, the segments are
computed anew from exactly the rest, and the transaction is tried again. Any other trouble fails the whole group and
nothing of it is counted. So a message counts exactly once, however often it is delivered and wherever a function dies.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.consume.segments import Segment, segments_of
from chalicelib.model.batch import SpanBatch, batches_of
from chalicelib.model.units import SECOND_NANO
from chalicelib.store import layout
from chalicelib.store.chunk import Seal, built_in_seal, chunks_of
from chalicelib.store.items import (
    EXPIRY,
    IS_ABSENT,
    PARTITION_KEY,
    SORT_KEY,
    VALUE,
    ConditionFailed,
    Item,
    Put,
    item_key,
)
from chalicelib.store.search_block import blocks_of
from chalicelib.store.search_row import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.consume.dictionaries import Dictionaries
    from chalicelib.store.items import ItemStore

COMMIT_ACTIONS_MAX = 90
COMMIT_BYTES_MAX = 3_000_000
"""Both below DynamoDB's own 100 and 4 MB, as a margin."""


class PendingMessage(NamedTuple):
    """A message whose payload is at hand."""

    digest: bytes
    received_unix_seconds: int
    payload: bytes


class Committed(NamedTuple):
    messages: int
    spans: int
    duplicate_messages: int


class GroupTooLarge(Exception):
    """What the group adds does not fit one transaction: fewer messages may."""


def commit(
    store: ItemStore,
    messages: Sequence[PendingMessage],
    now_unix_nano: int,
    shards: int,
    dictionaries: Dictionaries | None = None,
) -> Committed:
    """Store and count these messages (distinct digests, at most 80); return when that is durable.

    Without `dictionaries`, chunks are compressed with the one that comes with Clew.

    Raises GroupTooLarge with nothing counted; StoreThrottled or StoreError, after which the group may or may not be
    counted: deliver it again.
    """
    batches = _batches_of(messages)
    received = max(message.received_unix_seconds for message in messages)
    expiry = received + config.RETENTION_SECONDS
    seal = (
        dictionaries.seal_for(expiry, now_unix_nano // SECOND_NANO)
        if dictionaries
        else built_in_seal
    )
    store.put_batch(config.SPANS_TABLE, chunk_items(batches, expiry, seal))
    store.put_batch(config.INDEX_TABLE, block_items(batches, expiry))
    return _count(store, messages, batches, now_unix_nano, shards)


def _batches_of(messages: Iterable[PendingMessage]) -> list[SpanBatch]:
    return list(batches_of(message.payload for message in messages))


def _count(
    store: ItemStore,
    messages: Sequence[PendingMessage],
    batches: Sequence[SpanBatch],
    now_unix_nano: int,
    shards: int,
) -> Committed:
    """Count those of the messages that are not counted yet. `batches` are all their spans."""
    uncounted = messages
    while uncounted:
        digests = [message.digest for message in uncounted]
        actions = _actions(digests, segments_of(batches, shards), now_unix_nano)
        try:
            store.transact(actions)
        except ConditionFailed as failed:
            # The markers are the first actions, in the messages' order; segments have no condition.
            uncounted = [each for i, each in enumerate(uncounted) if i not in failed.indices]
            batches = _batches_of(uncounted)
        else:
            break
    return Committed(
        len(uncounted), sum(len(batch.raws) for batch in batches), len(messages) - len(uncounted)
    )


def _actions(
    digests: Sequence[bytes], segments: Sequence[Segment], now_unix_nano: int
) -> list[Put]:
    expiry = now_unix_nano // SECOND_NANO + config.MARKER_RETENTION_SECONDS
    actions = [
        Put(config.STATISTICS_TABLE, marker_item(digest, expiry), IS_ABSENT) for digest in digests
    ]
    identity = hashlib.sha256(b"".join(digests)).digest()
    for place, segment in enumerate(segments):
        sort = layout.segment_sort_key(now_unix_nano, identity) + f"|{place}"
        item: Item = {
            PARTITION_KEY: layout.fold_partition(segment.shard),
            SORT_KEY: sort,
            VALUE: segment.value,
        }
        actions.append(Put(config.STATISTICS_TABLE, item))
    total = sum(len(segment.value) for segment in segments)
    if len(actions) > COMMIT_ACTIONS_MAX or total > COMMIT_BYTES_MAX:
        raise GroupTooLarge(f"{len(actions)} actions, {total} bytes of segments")
    return actions


def marker_item(digest: bytes, expiry_unix_seconds: int) -> Item:
    return {**item_key(*layout.marker_key(digest)), EXPIRY: expiry_unix_seconds}


def counted_among(store: ItemStore, digests: Iterable[bytes]) -> set[bytes]:
    """The digests among these whose message is already counted."""
    by_partition = {layout.marker_key(digest).partition: digest for digest in digests}
    keys = [item_key(*layout.marker_key(digest)) for digest in by_partition.values()]
    found = store.get_batch(config.STATISTICS_TABLE, keys)
    return {by_partition[str(item[PARTITION_KEY])] for item in found}


def chunk_items(batches: Iterable[SpanBatch], expiry_unix_seconds: int, seal: Seal) -> list[Item]:
    return [
        {
            PARTITION_KEY: chunk.trace_id,
            SORT_KEY: chunk.digest,
            VALUE: chunk.value,
            EXPIRY: expiry_unix_seconds,
        }
        for chunk in chunks_of(batches, seal)
    ]


def block_items(batches: Iterable[SpanBatch], expiry_unix_seconds: int) -> list[Item]:
    return [
        {
            PARTITION_KEY: layout.index_partition(
                block.hour, block.service, layout.shard_of_block(block.key, config.INDEX_SHARDS)
            ),
            SORT_KEY: block.key,
            VALUE: block.value,
            EXPIRY: expiry_unix_seconds,
        }
        for block in blocks_of(rows_of(batches))
    ]

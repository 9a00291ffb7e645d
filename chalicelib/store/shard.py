"""A shard's fold-state and segments, and reading them so that the fold cannot make anything count twice or not at all.

A reader takes the fold-state, then the segments' entries that are not folded yet, then the targets, then the fold-state
again. If its version has changed, a fold came between, and the reader starts anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chalicelib import config
from chalicelib.errors import StoreError, StoreThrottled
from chalicelib.model.clew_pb2 import FoldState, TraceFilter
from chalicelib.model.clew_pb2 import Halves as HalvesMessage
from chalicelib.model.frame import message_in, reading, seal
from chalicelib.model.trace_filter import short_ids_in
from chalicelib.store import layout
from chalicelib.store.items import (
    PARTITION_KEY,
    SORT_KEY,
    VALUE,
    VERSION,
    item_key,
    value_of,
    version_of,
    versioned_put,
)
from chalicelib.store.segment import Entry, entries_in

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.store.items import Item, ItemStore, Put

_READ_ATTEMPTS_MAX = 3

Answer = TypeVar("Answer")


class Unfolded(NamedTuple):
    """A segment, with those of its entries that are not folded."""

    sort: str
    folded_count: int
    entries: Sequence[Entry]


class ShardView(NamedTuple):
    state: FoldState
    """The fold-state; it has the version 0 where the shard was never folded."""
    segments: list[Unfolded]
    """The segments in the order of their sort keys; one all of whose entries are folded is still here, without
    entries."""
    is_whole: bool = True
    """Whether no segment is left out."""

    @property
    def entries(self) -> Iterator[Entry]:
        """Every entry that is not folded."""
        for segment in self.segments:
            yield from segment.entries


class Bound(NamedTuple):
    """How much of a backlog is read at once: the first segments, at least one."""

    segments: int
    stored_bytes: int


def read_shard(store: ItemStore, shard: int, bound: Bound | None = None) -> ShardView:
    """One query: the fold-state sorts before the segments. Of these, with a `bound`, only the first."""
    state = FoldState()
    segments: list[Unfolded] = []
    stored_bytes = 0
    progress: dict[str, int] = {}
    partition = layout.fold_partition(shard)
    for item in store.query(config.STATISTICS_TABLE, partition):
        value, sort = value_of(item), str(item[SORT_KEY])
        if sort == layout.FOLD_STATE_KEY:
            state = message_in(FoldState, value)
            progress = {each.segment: each.entries for each in state.progress}
            continue
        stored_bytes += len(value)
        is_full = bound and (len(segments) == bound.segments or stored_bytes > bound.stored_bytes)
        if segments and is_full:
            return ShardView(state, segments, is_whole=False)
        folded = progress.get(sort, 0)
        segments.append(Unfolded(sort, folded, entries_in(value)[folded:]))
    return ShardView(state, segments)


def fold_state_put(shard: int, old_version: int, state: FoldState) -> Put:
    """The action that replaces the fold-state, on condition that it still has `old_version`."""
    item: Item = {
        PARTITION_KEY: layout.fold_partition(shard),
        SORT_KEY: layout.FOLD_STATE_KEY,
        VALUE: seal(state.SerializeToString(deterministic=True)),
        VERSION: state.version,
    }
    return versioned_put(config.STATISTICS_TABLE, item, old_version)


def read_halves(
    store: ItemStore, shard: int, first_sequence: int, last_sequence: int
) -> Iterator[tuple[int, HalvesMessage]]:
    """(Sequence, half-edges) of the waiting items of a shard that these steps wrote, ascending."""
    partition = layout.halves_partition(shard)
    low = layout.halves_sort_key(first_sequence, 0)
    high = layout.halves_sort_key(last_sequence, layout.PART_MAX)
    for item in store.query(config.STATISTICS_TABLE, partition, low, high):
        yield layout.sequence_in(item[SORT_KEY]), message_in(HalvesMessage, value_of(item))


def read_filters(
    store: ItemStore, shard: int, first_sequence: int, last_sequence: int
) -> Iterator[tuple[int, array[int]]]:
    """(Sequence, short ids of the traces that its half-edges have) of these steps, ascending; not all have a filter."""
    partition = layout.filters_partition(shard)
    low, high = map(layout.filter_sort_key, (first_sequence, last_sequence))
    for item in store.query(config.STATISTICS_TABLE, partition, low, high):
        yield layout.sequence_in(item[SORT_KEY]), filter_in(value_of(item))


@reading("trace filter")
def filter_in(value: bytes) -> array[int]:
    """The short ids in a filter's value, ascending. Raises StoreError if it is damaged."""
    return short_ids_in(message_in(TraceFilter, value))


def read_consistently(
    store: ItemStore, shards: Sequence[int], read: Callable[[dict[int, ShardView]], Answer]
) -> tuple[Answer, bool]:
    """What `read` makes of the shards, and whether it is exact: no fold came between, in one of three attempts.

    Raises what `read` raises, but for a StoreError that a fold explains: it may have found a target half replaced.
    """
    for attempts_left in reversed(range(_READ_ATTEMPTS_MAX)):
        views = {shard: read_shard(store, shard) for shard in shards}
        versions = {shard: view.state.version for shard, view in views.items()}
        try:
            answer = read(views)
        except StoreThrottled:
            raise
        except StoreError:
            if attempts_left and _versions(store, shards) != versions:
                continue
            raise
        if _versions(store, shards) == versions:
            return answer, True
    return answer, False


def read_at_least_once(
    store: ItemStore, shards: Sequence[int], read: Callable[[dict[int, ShardView]], Answer]
) -> Answer:
    """What `read` makes of the shards, where what is folded meanwhile may be seen twice: it is in the targets before it
    leaves the segments, and those are read after these.

    Raises what `read` raises, but for a StoreError that a fold may explain, which is tried again.
    """
    for _ in range(_READ_ATTEMPTS_MAX - 1):
        try:
            return read({shard: read_shard(store, shard) for shard in shards})
        except StoreThrottled:
            raise
        except StoreError:
            continue
    return read({shard: read_shard(store, shard) for shard in shards})


def _versions(store: ItemStore, shards: Sequence[int]) -> dict[int, int]:
    by_partition = {layout.fold_partition(shard): shard for shard in shards}
    keys = [item_key(partition, layout.FOLD_STATE_KEY) for partition in by_partition]
    versions = dict.fromkeys(shards, 0)
    for item in store.get_batch(config.STATISTICS_TABLE, keys):
        versions[by_partition[str(item[PARTITION_KEY])]] = version_of(item)
    return versions

"""Halves that wait: looked at by the run after their fold, checked when their window ends, deleted.

An item of halves is *looked at* (`summarise/parents.py`) by the run after the one that folded it: by its fold's steps,
and here once there are none. What is found becomes a segment.

An item is *checked* once it is a window old: its callees for which still no caller came are looked up once more, for
the span may have come too late to pair; what is found is an edge at once. It is *deleted* when it is two windows old:
until then its callers may be what a callee that is still to be checked has paired with.

A run looks up a bounded number of traces. What it cannot get to waits for the next; what is three windows old is let
go unchecked, so that the halves kept stay bounded whatever comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model.clew_pb2 import FoldState, Segment
from chalicelib.model.edges import Edges
from chalicelib.model.parents import edge_of
from chalicelib.store import layout
from chalicelib.store.half_edge_cache import HalfEdgeCache
from chalicelib.store.items import SORT_KEY, ConditionFailed, Put, item_key
from chalicelib.store.shard import fold_state_put
from chalicelib.summarise.fold import TARGETS_MAX, Additions, TargetActions, segment_items
from chalicelib.summarise.parents import (
    SPANS_MAX,
    TRACES_MAX,
    Due,
    Looks,
    Unpaired,
    by_trace_of,
    callee_keys,
    looked_up,
    unpaired_callees,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.model.halves import Callee
    from chalicelib.model.parents import StoredSpans
    from chalicelib.store.items import Item, ItemStore
    from chalicelib.store.shard import ShardView


def due(state: FoldState, now_unix_seconds: int) -> Due | None:
    """The oldest item that is old enough to be checked and has not been; None if there is none."""
    for pending in state.pending:
        if pending.sequence > state.checked_sequence:
            age = now_unix_seconds - pending.folded_unix_seconds
            if age <= config.PENDING_WINDOW_SECONDS:
                return None
            is_let_go = age > 3 * config.PENDING_WINDOW_SECONDS
            return Due(pending.sequence, pending.folded_unix_seconds, is_let_go)
    return None


def finished(state: FoldState, now_unix_seconds: int) -> list[int]:
    """Sequences of the items that no half can pair with any more, nor any check ask for."""
    pending = [each for each in state.pending if each.sequence <= state.checked_sequence]
    unchecked = [each for each in state.pending if each.sequence > state.checked_sequence]
    window = config.PENDING_WINDOW_SECONDS
    oldest_needed = min(
        [now_unix_seconds - window, *(each.folded_unix_seconds for each in unchecked)]
    )
    return [each.sequence for each in pending if each.folded_unix_seconds + window < oldest_needed]


class WaitingHalves:
    """Checks and deletes one shard's waiting halves."""

    def __init__(
        self,
        store: ItemStore,
        shard: int,
        now_unix_seconds: int,
        remembered: HalfEdgeCache | None = None,
        looks: Looks | None = None,
    ) -> None:
        self._store = store
        self._shard = shard
        self._now = now_unix_seconds
        self._remembered = remembered or HalfEdgeCache()
        self._looks = looks or Looks(store, now_unix_seconds)
        self._unpaired: tuple[int, Unpaired] | None = None
        """The item that is being checked: its sequence, and all callees that are unpaired at the end of its window."""

    def step(self, view: ShardView) -> bool:
        """Look up traces of the oldest item, or delete what is finished; return whether there may be more to do."""
        state = view.state
        # First what is promised within two minutes.
        if self._looks.is_due(state):
            return self._look(state)
        if item := due(state, self._now):
            return self._check(state, item)
        if sequences := finished(state, self._now):
            self._delete(state, sequences)
        return False

    def _check(self, state: FoldState, item: Due) -> bool:
        after = FoldState()
        after.CopyFrom(state)
        after.version += 1
        additions = Additions()
        unpaired = [] if item.is_let_go else self._unpaired_at_end(state, item)
        unpaired = unpaired[state.checked_traces :]
        traces = spans = 0
        for callees, stored in looked_up(self._store, unpaired[:TRACES_MAX], self._now):
            additions.add_edges(_edges(callees, stored))
            traces, spans = traces + 1, spans + stored.span_count
            if spans >= SPANS_MAX or additions.target_count > TARGETS_MAX // 2:
                break
        if traces < len(unpaired):
            after.checked_traces = state.checked_traces + traces
        else:
            after.checked_sequence, after.checked_traces = item.sequence, 0
        hours = {hour for _, hour in additions.hours}
        after.dirty_hours[:] = sorted(hours.union(state.dirty_hours))
        puts = TargetActions(self._store, self._shard, self._now).puts(additions)
        return self._transact(state, after, puts)

    def _look(self, state: FoldState) -> bool:
        after = FoldState()
        after.CopyFrom(state)
        after.version += 1
        waiting = list(self._remembered.waiting(self._store, self._shard, state))
        looked = self._looks.look(state, waiting)
        looked.note_in(after)
        entries = [Segment.Entry(halves=each) for each in looked.messages]
        items = segment_items(self._shard, after.version, entries)
        puts = [Put(config.STATISTICS_TABLE, item) for item in items]
        if not self._transact(state, after, puts):
            return False
        self._looks.left = looked.left
        return True

    def _unpaired_at_end(self, state: FoldState, item: Due) -> Unpaired:
        if self._unpaired is None or self._unpaired[0] != item.sequence:
            waiting = list(self._remembered.waiting(self._store, self._shard, state))
            callees = unpaired_callees(waiting, item, callee_keys(waiting, item))
            self._unpaired = item.sequence, by_trace_of(callees)
        return self._unpaired[1]

    def _delete(self, state: FoldState, sequences: list[int]) -> None:
        keys = [*self._halves_keys(sequences), *self._filter_keys(state, sequences)]
        after = FoldState()
        after.CopyFrom(state)
        after.version += 1
        del after.pending[:]
        after.pending.extend(each for each in state.pending if each.sequence not in sequences)
        # Forgotten first: halves that the fold-state does not name are not read any more.
        if self._transact(state, after, []):
            self._store.delete_batch(config.STATISTICS_TABLE, keys)

    def _halves_keys(self, sequences: list[int]) -> Iterator[Item]:
        partition = layout.halves_partition(self._shard)
        high = layout.halves_sort_key(max(sequences), layout.PART_MAX)
        for item in self._store.query(config.STATISTICS_TABLE, partition, high=high):
            if layout.sequence_in(item[SORT_KEY]) in sequences:
                yield item_key(partition, item[SORT_KEY])

    def _filter_keys(self, state: FoldState, sequences: list[int]) -> Iterator[Item]:
        partition = layout.filters_partition(self._shard)
        for each in state.pending:
            if each.has_filter and each.sequence in sequences:
                yield item_key(partition, layout.filter_sort_key(each.sequence))

    def _transact(self, before: FoldState, after: FoldState, puts: list[Put]) -> bool:
        put = fold_state_put(self._shard, before.version, after)
        try:
            self._store.transact([*puts, put])
        except ConditionFailed:
            return False
        return True


def _edges(callees: Iterable[Callee], stored: StoredSpans) -> dict[int, Edges]:
    """Minute → the calls of a trace's callees."""
    found: dict[int, Edges] = {}
    for callee in callees:
        if edge := edge_of(callee, stored):
            found.setdefault(edge[0], Edges()).add(edge[1])
    return found

"""Halves that wait, when their window ends.

An item of halves is *checked* once it is a window old: each of its callees for which no caller came is looked up, once,
in its stored trace, whose span of that id may be of another kind (instrumentation by hand often makes it so) or have
come too late to pair. It is *deleted* when it is two windows old: until then its callers may be what a callee that is
still to be checked has paired with.

A run looks up a bounded number of traces. What it cannot get to waits for the next; what is three windows old is let
go unchecked, so that the halves kept stay bounded whatever comes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.model.clew_pb2 import FoldState
from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.halves import Callee, halves_from
from chalicelib.model.measure import Measure, bucket_of
from chalicelib.model.names import key_name
from chalicelib.model.span import CLIENT, PRODUCER, Span
from chalicelib.model.statistics import MINUTE_NANO
from chalicelib.store import layout
from chalicelib.store.items import ConditionFailed, Put
from chalicelib.store.remembered import RememberedHalves
from chalicelib.store.shard import fold_state_put
from chalicelib.store.traces import read_spans
from chalicelib.summarise.fold import TARGETS_MAX, Additions, TargetActions
from chalicelib.summarise.join import known_among, lonely

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.store.items import Item, ItemStore
    from chalicelib.store.shard import ShardView

TRACES_MAX = 200
"""Looked up in one step: a query each, a few milliseconds apiece."""


class Due(NamedTuple):
    """What is to be done about a shard's oldest unchecked item."""

    sequence: int
    folded_unix_seconds: int
    is_let_go: bool


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


def edge_of(callee: Callee, spans: Iterable[Span]) -> tuple[int, Edges] | None:
    """(Minute, edge) of a callee whose caller's trace has these spans; None if they show no call.

    The latency is the caller's if its span stands for the call (CLIENT, PRODUCER), else the callee's own.
    """
    parents = [
        span
        for span in spans
        if span.span_id == callee.span_id and key_name(span.scope.service) != callee.service
    ]
    if not parents:
        return None
    parent = min(parents, key=lambda span: (span.kind not in (CLIENT, PRODUCER), span.raw))
    stands_for_call = parent.kind in (CLIENT, PRODUCER)
    bucket = bucket_of(parent.duration_nano) if stands_for_call else callee.bucket
    is_error = callee.is_error or (stands_for_call and parent.is_error)
    kind = EdgeKind.MESSAGING if parent.kind == PRODUCER else EdgeKind(callee.kind)
    edges = Edges()
    key = (key_name(parent.scope.service), callee.service, int(kind))
    edges.offer(key, Measure(1, int(is_error), 0, {bucket: 1}), parent.trace_id)
    return parent.start_time_unix_nano // MINUTE_NANO, edges


class WaitingHalves:
    """Checks and deletes one shard's waiting halves."""

    def __init__(
        self,
        store: ItemStore,
        shard: int,
        now_unix_seconds: int,
        remembered: RememberedHalves | None = None,
    ) -> None:
        self._store = store
        self._shard = shard
        self._now = now_unix_seconds
        self._remembered = remembered or RememberedHalves()

    def step(self, view: ShardView) -> bool:
        """Check some traces of the oldest item, or delete what is finished; return whether there is more to check."""
        state = view.state
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
        callees = [] if item.is_let_go else self._lonely(state, item)
        traces = sorted({callee.trace_id for callee in callees})[state.checked_traces :]
        looked_up = 0
        by_trace: dict[bytes, list[Callee]] = defaultdict(list)
        for callee in callees:
            by_trace[callee.trace_id].append(callee)
        for trace_id in traces[:TRACES_MAX]:
            found = self._edges(trace_id, by_trace[trace_id])
            additions.add_edges(found)
            looked_up += 1
            if additions.target_count > TARGETS_MAX // 2:
                break
        if looked_up < len(traces):
            after.checked_traces = state.checked_traces + looked_up
        else:
            after.checked_sequence, after.checked_traces = item.sequence, 0
        hours = {hour for _, hour in additions.hours}
        after.dirty_hours[:] = sorted(hours.union(state.dirty_hours))
        puts = TargetActions(self._store, self._shard, self._now).puts(additions)
        return self._transact(state, after, puts)

    def _lonely(self, state: FoldState, item: Due) -> list[Callee]:
        waiting = list(self._remembered.waiting(self._store, self._shard, state))
        callees = [
            callee
            for kept in waiting
            if kept.sequence == item.sequence
            for callee in halves_from(kept.message).callees
        ]
        keys = {callee[:2] for callee in callees}
        known = known_among(waiting, keys)
        # A callee that came before as well was looked up with its first copy. Not by time: steps may share a second.
        before = known_among((kept for kept in waiting if kept.sequence < item.sequence), keys)
        first = [callee for callee in callees if callee not in before.callees[callee[:2]]]
        window = config.PENDING_WINDOW_SECONDS
        return lonely(first, item.folded_unix_seconds, known, window)

    def _edges(self, trace_id: bytes, callees: Iterable[Callee]) -> dict[int, Edges]:
        # By id: a trace may be large, and every callee of it be looked up.
        spans_by_id: dict[bytes, list[Span]] = defaultdict(list)
        for span in read_spans(self._store, trace_id, self._now):
            spans_by_id[span.span_id].append(span)
        found: dict[int, Edges] = {}
        for callee in callees:
            if edge := edge_of(callee, spans_by_id.get(callee.span_id, ())):
                found.setdefault(edge[0], Edges()).add(edge[1])
        return found

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
            if layout.sequence_in(item["s"]) in sequences:
                yield {"p": partition, "s": item["s"]}

    def _filter_keys(self, state: FoldState, sequences: list[int]) -> Iterator[Item]:
        partition = layout.filters_partition(self._shard)
        for each in state.pending:
            if each.has_filter and each.sequence in sequences:
                yield {"p": partition, "s": layout.filter_sort_key(each.sequence)}

    def _transact(self, before: FoldState, after: FoldState, puts: list[Put]) -> bool:
        put = fold_state_put(self._shard, before.version, after)
        try:
            self._store.transact([*puts, put])
        except ConditionFailed:
            return False
        return True

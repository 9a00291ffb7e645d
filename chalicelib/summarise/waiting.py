"""Halves that wait: what their stored traces tell of them, soon and when their window ends.

An item of halves is *looked at* by the run after the one that folded it: each of its callees for which no caller came
is looked up in its stored trace, whose span of that id may be of another kind (instrumentation by hand often makes it
SERVER or INTERNAL). That span's half, a *parent*, becomes a segment, as if the span had made it itself. The fold
then joins it with all others. So it does not matter when, or how often, or whether it was looked for.

An item is *checked* once it is a window old: its callees for which still no caller came are looked up once more, for
the span may have come too late to pair; what is found is an edge at once. It is *deleted* when it is two windows old:
until then its callers may be what a callee that is still to be checked has paired with.

A run looks up a bounded number of traces. What it cannot get to waits for the next; what is three windows old is let
go unchecked, so that the halves kept stay bounded whatever comes.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from chalicelib import config
from chalicelib.model.clew_pb2 import FoldState, Segment
from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.halves import (
    CHILD_KINDS,
    Callee,
    Caller,
    Halves,
    halves_messages,
    keys_in,
    traces_of,
)
from chalicelib.model.measure import Measure, bucket_of
from chalicelib.model.peers import peer_of
from chalicelib.model.span import CALLER_KINDS, PRODUCER, Span
from chalicelib.model.statistics import MINUTE_NANO
from chalicelib.store import layout
from chalicelib.store.half_edges import parent_half, parent_kind
from chalicelib.store.items import ConditionFailed, Put
from chalicelib.store.remembered import RememberedHalves
from chalicelib.store.shard import fold_state_put
from chalicelib.store.traces import read_spans
from chalicelib.summarise.fold import TARGETS_MAX, Additions, TargetActions, segment_items
from chalicelib.summarise.join import (
    has_caller,
    kind_of_call,
    known_among,
    known_of_traces,
    lonely,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.model.halves import HalfKey
    from chalicelib.store.items import Item, ItemStore
    from chalicelib.store.remembered import Kept
    from chalicelib.store.shard import ShardView

LOOKED_AT_SECONDS = 45
"""So old an item is when the run after its own looks at it: runs begin each minute, and may begin late."""
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


def first_look_due(state: FoldState, now_unix_seconds: int) -> Due | None:
    """The oldest item that is to be looked at and has not been; None if there is none."""
    seen = max(state.looked_sequence, state.checked_sequence)
    for pending in state.pending:
        if pending.sequence > seen:
            folded = pending.folded_unix_seconds
            is_due = now_unix_seconds - folded >= LOOKED_AT_SECONDS
            return Due(pending.sequence, folded, is_let_go=False) if is_due else None
    return None


class StoredSpans:
    """The spans of a stored trace, as callers of its callees. By id: a trace may be large, and each be asked for."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._by_id: dict[bytes, list[Span]] = defaultdict(list)
        self._clients_by_crc: dict[int, list[Span]] = defaultdict(list)
        for span in spans:
            self._by_id[span.span_id].append(span)
            if span.kind in CALLER_KINDS:
                self._clients_by_crc[crc32(span.span_id)].append(span)

    def callers_of(self, callee: Callee) -> list[Span]:
        """The spans of other services that may have called it: those that share its id (Zipkin's way), or its parents.

        A child has none if a span of its own service has the id of its parent.
        """
        if callee.kind == EdgeKind.RPC and (
            sharing := _of_others(callee, self._clients_by_crc.get(callee.own, ()))
        ):
            return sharing
        with_id = self._by_id.get(callee.span_id, [])
        found = _of_others(callee, with_id)
        return [] if callee.kind in CHILD_KINDS and len(found) < len(with_id) else found


def _lonely(waiting: Sequence[Kept], item: Due, wanted: set[HalfKey]) -> list[Callee]:
    """The item's callees with these keys that nobody within a window of them has called."""
    window = config.PENDING_WINDOW_SECONDS
    callees = known_among((kept for kept in waiting if kept.sequence == item.sequence), wanted)
    # A callee that came before as well was looked up with its first copy. Not by time: steps may share a second.
    before = known_among((kept for kept in waiting if kept.sequence < item.sequence), wanted)
    known = known_among(waiting, wanted)
    first = [
        callee
        for key, of_key in callees.callees.items()
        for callee in of_key
        if callee not in before.callees.get(key, {})
        and not has_caller(callee, item.folded_unix_seconds, known, window)
    ]
    # All of a trace, for few: in some, a server's caller has its own id.
    of_traces = known_of_traces(waiting, {callee.trace_id for callee in first})
    return lonely(first, item.folded_unix_seconds, of_traces, window)


def _by_trace(callees: Iterable[Callee]) -> dict[bytes, list[Callee]]:
    found: dict[bytes, list[Callee]] = defaultdict(list)
    for callee in callees:
        found[callee.trace_id].append(callee)
    return found


def _of_others(callee: Callee, spans: Iterable[Span]) -> list[Span]:
    return [span for span in spans if span.scope.service_key != callee.service]


def parents_of(callee: Callee, stored: StoredSpans) -> list[Caller]:
    """The halves of the spans above a callee that have made none, as far as it knows.

    None where a client is there whose half is only late: it will come, or is found when the window has ended.
    """
    found = stored.callers_of(callee)
    if any(map(_has_own_half, found)):
        return []
    return [
        parent_half(
            span.trace_id,
            span.span_id,
            span.scope.service_key,
            span.kind,
            span.parent_span_id,
            span.start_time_unix_nano,
        )
        for span in found
    ]


def _has_own_half(span: Span) -> bool:
    """Whether a span stands for a call of which it makes a half: a call to a database has none."""
    if span.kind not in CALLER_KINDS:
        return False
    peer = peer_of(span.attributes)
    return peer is None or peer.kind != EdgeKind.DATABASE


def edge_of(callee: Callee, stored: StoredSpans) -> tuple[int, Edges] | None:
    """(Minute, edge) of a callee whose caller's trace has these spans; None if they show no call.

    The latency is the caller's if its span stands for the call (CLIENT, PRODUCER), else the callee's own.
    """
    parents = stored.callers_of(callee)
    if not parents:
        return None
    parent = min(parents, key=lambda span: (not _has_own_half(span), span.raw))
    stands_for_call = _has_own_half(parent)
    bucket = bucket_of(parent.duration_nano) if stands_for_call else callee.bucket
    is_error = callee.is_error or (stands_for_call and parent.is_error)
    edges = Edges()
    key = (parent.scope.service_key, callee.service, kind_of_call(_half_kind(parent), callee.kind))
    edges.offer(key, Measure(1, int(is_error), 0, {bucket: 1}), parent.trace_id)
    return parent.start_time_unix_nano // MINUTE_NANO, edges


def _half_kind(span: Span) -> int:
    """The kind of a span's half, as a caller."""
    if _has_own_half(span):
        return EdgeKind.MESSAGING if span.kind == PRODUCER else EdgeKind.EXTERNAL
    return parent_kind(span.kind, span.parent_span_id)


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
        """Look up traces of the oldest item, or delete what is finished; return whether there may be more to do."""
        state = view.state
        if item := due(state, self._now):
            return self._check(state, item)
        if item := first_look_due(state, self._now):
            return self._look(state, item)
        if sequences := finished(state, self._now):
            self._delete(state, sequences)
        return False

    def _check(self, state: FoldState, item: Due) -> bool:
        after = FoldState()
        after.CopyFrom(state)
        after.version += 1
        additions = Additions()
        by_trace = _by_trace([] if item.is_let_go else self._lonely_at_end(state, item))
        traces = sorted(by_trace)[state.checked_traces :]
        looked_up = 0
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

    def _look(self, state: FoldState, item: Due) -> bool:
        after = FoldState()
        after.CopyFrom(state)
        after.version += 1
        by_trace = _by_trace(self._lonely_at_first(state, item))
        # By id, not by count: a callee whose caller has come meanwhile is not among them any more.
        traces = sorted(each for each in by_trace if each > state.looked_trace_id)
        found: set[Caller] = set()
        for trace_id in traces[:TRACES_MAX]:
            stored = self._stored(trace_id)
            for callee in by_trace[trace_id]:
                found.update(parents_of(callee, stored))
        if len(traces) > TRACES_MAX:
            after.looked_trace_id = traces[TRACES_MAX - 1]
        else:
            after.looked_sequence, after.looked_trace_id = item.sequence, b""
        entries = [Segment.Entry(halves=each) for each in halves_messages(Halves(found, set()))]
        items = segment_items(self._shard, after.version, entries)
        puts = [Put(config.STATISTICS_TABLE, item) for item in items]
        return self._transact(state, after, puts)

    def _lonely_at_end(self, state: FoldState, item: Due) -> list[Callee]:
        waiting = list(self._remembered.waiting(self._store, self._shard, state))
        own_keys = (keys_in(kept.message)[1] for kept in waiting if kept.sequence == item.sequence)
        wanted = {key for key, _ in chain.from_iterable(own_keys)}
        return _lonely(waiting, item, wanted)

    def _lonely_at_first(self, state: FoldState, item: Due) -> list[Callee]:
        """Only those of whose key no caller is known at all: a caller that came too early is for the end."""
        waiting = list(self._remembered.waiting(self._store, self._shard, state))
        own_keys = (keys_in(kept.message)[1] for kept in waiting if kept.sequence == item.sequence)
        wanted = {key for key, _ in chain.from_iterable(own_keys)}
        traces = traces_of(wanted)
        for kept in waiting:
            if of_both := kept.trace_ids & traces:
                wanted -= keys_in(kept.message, of_both)[0]
        return _lonely(waiting, item, wanted) if wanted else []

    def _stored(self, trace_id: bytes) -> StoredSpans:
        return StoredSpans(read_spans(self._store, trace_id, self._now))

    def _edges(self, trace_id: bytes, callees: Iterable[Callee]) -> dict[int, Edges]:
        stored = self._stored(trace_id)
        found: dict[int, Edges] = {}
        for callee in callees:
            if edge := edge_of(callee, stored):
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

"""Spans above callees that nobody has called, looked for in the stored trace.

A callee's parent may be of a kind that makes no half by itself (instrumentation by hand often makes it SERVER or
INTERNAL). So a callee for which no caller came is *looked at*: the half of the span above it, a *parent*, is made as if
that span had made it itself, and joined with all others. It does not matter when, or how often, or whether it was
looked for.

    committed ──▶ the fold that takes it, if that is EARLY_SECONDS later: looks at once
              ──▶ else, and where nothing was found: the run after that looks

Both before two minutes are over. What a fold's step finds is kept by its own transaction.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from chalicelib import config
from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.halves import (
    CHILD_KINDS,
    Callee,
    Caller,
    Halves,
    halves_messages,
    keys_in,
    trace_ids_in,
    traces_of,
)
from chalicelib.model.measure import Measure, bucket_of
from chalicelib.model.peers import peer_of
from chalicelib.model.span import CALLER_KINDS, PRODUCER, Span
from chalicelib.model.statistics import MINUTE_NANO
from chalicelib.store.half_edges import parent_half, parent_kind
from chalicelib.store.remembered import Kept
from chalicelib.store.traces import read_spans
from chalicelib.summarise.join import (
    has_caller,
    kind_of_call,
    known_among,
    known_of_traces,
    lonely,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.model.clew_pb2 import FoldState
    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.halves import HalfKey
    from chalicelib.store.items import ItemStore

LOOKED_AT_SECONDS = 45
"""So old an item is when the run after its own looks at it: runs begin each minute, and may begin late."""
EARLY_SECONDS = 40
"""So long after its commit a callee is looked at by the very fold that takes it: what is younger is looked at by the
next, before it is 100 s old. Its parent has come by then, or makes its half itself (`store/half_edges.py`)."""
TRACES_MAX = 200
"""Looked up in one step: a query each, a few milliseconds apiece."""


class Due(NamedTuple):
    """A shard's oldest item of halves that something is to be done about."""

    sequence: int
    folded_unix_seconds: int
    is_let_go: bool = False


class Looked(NamedTuple):
    """What a step's look came to."""

    parents: set[Caller]
    sequence: int
    """Items up to this one are looked at: FoldState.looked_sequence."""
    trace_id: bytes
    """FoldState.looked_trace_id."""

    def note_in(self, state: FoldState) -> None:
        state.looked_sequence, state.looked_trace_id = self.sequence, self.trace_id

    @property
    def messages(self) -> list[HalvesMessage]:
        return list(halves_messages(Halves(self.parents, set())))


def first_look_due(state: FoldState, now_unix_seconds: int) -> Due | None:
    """The oldest item that is to be looked at and has not been; None if there is none."""
    seen = max(state.looked_sequence, state.checked_sequence)
    for pending in state.pending:
        if pending.sequence > seen:
            folded = pending.folded_unix_seconds
            is_due = now_unix_seconds - folded >= LOOKED_AT_SECONDS
            return Due(pending.sequence, folded) if is_due else None
    return None


def look(
    store: ItemStore,
    state: FoldState,
    waiting: Sequence[Kept],
    now_unix_seconds: int,
    new: Sequence[HalvesMessage] = (),
    early: Sequence[HalvesMessage] = (),
) -> Looked:
    """Look for the parents of the item that is due, if one is; and of the callees of `early`.

    `waiting` are all that wait; `new`, with `early` among them, what is folded meanwhile. At most TRACES_MAX are looked
    up: what is left of the item is for the next step, of `early` for the run after this.
    """
    found: set[Caller] = set()
    seen = Looked(found, state.looked_sequence, state.looked_trace_id)
    item = first_look_due(state, now_unix_seconds)
    if not item and not early:
        return seen
    folding = [_folding(message, now_unix_seconds) for message in new]
    left = TRACES_MAX
    if item:
        by_trace = by_trace_of(_uncalled([*waiting, *folding], item))
        # By id, not by count: a callee whose caller has come meanwhile is not among them any more.
        traces = sorted(each for each in by_trace if each > state.looked_trace_id)
        found |= _parents(store, by_trace, traces[:left], now_unix_seconds)
        if len(traces) > left:
            return Looked(found, state.looked_sequence, traces[left - 1])
        seen = Looked(found, item.sequence, b"")
        left -= len(traces)
    if early:
        at_once = Due(_FOLDING, now_unix_seconds)
        wanted = {key for message in early for key, _ in keys_in(message)[1]}
        by_trace = by_trace_of(_uncalled([*waiting, *folding], at_once, wanted))
        found |= _parents(store, by_trace, sorted(by_trace)[:left], now_unix_seconds)
    return seen


_FOLDING = 1 << 62
"""The sequence of what is folded now: after all that wait."""


def _folding(message: HalvesMessage, now_unix_seconds: int) -> Kept:
    return Kept(_FOLDING, now_unix_seconds, message, trace_ids_in(message))


def _parents(
    store: ItemStore,
    by_trace: dict[bytes, list[Callee]],
    traces: Iterable[bytes],
    now_unix_seconds: int,
) -> set[Caller]:
    found: set[Caller] = set()
    for trace_id in traces:
        stored = StoredSpans(read_spans(store, trace_id, now_unix_seconds))
        for callee in by_trace[trace_id]:
            found.update(parents_of(callee, stored))
    return found


def _uncalled(
    waiting: Sequence[Kept], item: Due, wanted: set[HalfKey] | None = None
) -> list[Callee]:
    """The item's callees (of some keys, if told) of whose key no caller is known at all: one that came too early is for
    the end."""
    if wanted is None:
        wanted = callee_keys(waiting, item)
    traces = traces_of(wanted)
    for kept in waiting:
        if of_both := kept.trace_ids & traces:
            wanted -= keys_in(kept.message, of_both)[0]
    return lonely_callees(waiting, item, wanted) if wanted else []


def callee_keys(waiting: Iterable[Kept], item: Due) -> set[HalfKey]:
    """The keys of an item's callees."""
    own_keys = (keys_in(kept.message)[1] for kept in waiting if kept.sequence == item.sequence)
    return {key for key, _ in chain.from_iterable(own_keys)}


def lonely_callees(waiting: Sequence[Kept], item: Due, wanted: set[HalfKey]) -> list[Callee]:
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


def by_trace_of(callees: Iterable[Callee]) -> dict[bytes, list[Callee]]:
    found: dict[bytes, list[Callee]] = defaultdict(list)
    for callee in callees:
        found[callee.trace_id].append(callee)
    return found


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


def _of_others(callee: Callee, spans: Iterable[Span]) -> list[Span]:
    return [span for span in spans if span.scope.service_key != callee.service]


def parents_of(callee: Callee, stored: StoredSpans) -> list[Caller]:
    """The halves of the spans above a callee that have made none, as far as it knows.

    None where a client is there whose half is only late: it will come, or is found when the window has ended.
    """
    found = stored.callers_of(callee)
    if any(map(has_own_half, found)):
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


def has_own_half(span: Span) -> bool:
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
    parent = min(parents, key=lambda span: (not has_own_half(span), span.raw))
    stands_for_call = has_own_half(parent)
    bucket = bucket_of(parent.duration_nano) if stands_for_call else callee.bucket
    is_error = callee.is_error or (stands_for_call and parent.is_error)
    edges = Edges()
    key = (parent.scope.service_key, callee.service, kind_of_call(_half_kind(parent), callee.kind))
    edges.offer(key, Measure(1, int(is_error), 0, {bucket: 1}), parent.trace_id)
    return parent.start_time_unix_nano // MINUTE_NANO, edges


def _half_kind(span: Span) -> int:
    """The kind of a span's half, as a caller."""
    if has_own_half(span):
        return EdgeKind.MESSAGING if span.kind == PRODUCER else EdgeKind.EXTERNAL
    return parent_kind(span.kind, span.parent_span_id)

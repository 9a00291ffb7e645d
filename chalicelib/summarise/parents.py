"""Spans above callees that nobody has called, looked for in the stored trace.

A callee's parent may be of a kind that makes no half by itself (instrumentation by hand often makes it SERVER or
INTERNAL). So a callee for which no caller came is *looked at*: the half of the span above it, a *parent*, is made as if
that span had made it itself, and joined with all others. It does not matter when, or how often, or whether it was
looked for.

    committed ──▶ the run that folds it, if that is EARLY_SECONDS later: looks at once
              ──▶ else, and where nothing was found: the run after that looks, before it folds more

Both before two minutes are over. Each step of a run, of the fold or after it, looks up a bounded number; what a fold's
step finds is kept by its own transaction.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from contextlib import closing
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.model.halves import (
    Callee,
    Caller,
    Halves,
    halves_messages,
    keys_in,
    trace_ids_in,
    traces_of,
)
from chalicelib.model.join import (
    has_caller,
    known_among,
    known_of_traces,
    unpaired,
)
from chalicelib.model.parents import StoredSpans, parents_of
from chalicelib.store.half_edge_cache import CachedHalves
from chalicelib.store.traces import read_traces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.model.clew_pb2 import FoldState
    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.halves import HalfKey
    from chalicelib.store.items import ItemStore

EARLY_SECONDS = 40
"""A callee that was committed so long ago is looked at by the very run that folds it: what is younger is looked at by
the next, before it is 100 s old. Its parent has come by then, or makes its half itself (`consume/half_edges.py`)."""
LOOKED_AT_SECONDS = EARLY_SECONDS
"""An item is so old when the run after its own looks at it: runs begin each minute, and may be 20 s early or late."""
TRACES_MAX = 500
"""Looked up in one step: a query each, of which some are under way at once."""
SPANS_MAX = config.TRACE_SPANS_SEARCHED_MAX
"""Read in one step, beside the trace that brings them: some traces are so large that 500 would take minutes."""
ITEMS_MAX = 10
"""The most items of half-edges whose callees are gone through in one step."""

Unpaired = list[tuple[bytes, list["Callee"]]]
"""Callees that nobody has called, by their trace ids, ascending."""


class Due(NamedTuple):
    """A shard's oldest item of halves that something is to be done about."""

    sequence: int
    folded_unix_seconds: int
    is_let_go: bool = False
    after: bytes = b""
    """The last of the item's trace ids that has been looked at."""


class Looked(NamedTuple):
    """What a step's look came to."""

    parents: set[Caller]
    sequence: int
    """Items up to this one are looked at: FoldState.looked_sequence."""
    trace_id: bytes
    """FoldState.looked_trace_id."""
    left: Unpaired
    """The callees of what this run has folded that its next steps look up."""
    traces_left: int
    spans_left: int
    """The number of spans that the step may still look up and read."""

    def note_in(self, state: FoldState) -> None:
        state.looked_sequence, state.looked_trace_id = self.sequence, self.trace_id

    @property
    def messages(self) -> list[HalvesMessage]:
        return list(halves_messages(Halves(self.parents, set())))


def looks_due(state: FoldState, now_unix_seconds: int) -> list[Due]:
    """The items that are to be looked at and have not been, or not to their end; the oldest first.

    None is older than a window: what is found would not pair with its callees, and a check looks for the same.
    """
    found: list[Due] = []
    seen = max(state.looked_sequence, state.checked_sequence)
    pending = [each for each in state.pending if each.sequence > seen]
    for place, each in enumerate(pending):
        age = now_unix_seconds - each.folded_unix_seconds
        if age < LOOKED_AT_SECONDS:
            break
        if age <= config.PENDING_WINDOW_SECONDS:
            # Of an item that was left before its end the cursor is not the next one's.
            is_begun = place == 0 and seen == state.looked_sequence
            after = state.looked_trace_id if is_begun else b""
            found.append(Due(each.sequence, each.folded_unix_seconds, after=after))
    return found


class Looks:
    """What a run looks up in a shard: found out once an item, and looked up step by step.

    It only saves work. How far the items of earlier runs are looked at is in the fold-state; what a run has folded and
    not looked up when it ends is looked up by the next, as all that it has folded.
    """

    def __init__(self, store: ItemStore, now_unix_seconds: int) -> None:
        self._store = store
        self._now = now_unix_seconds
        self._unpaired: dict[int, Unpaired] = {}
        """The callees without a caller, by the sequence of an item."""
        self.left: Unpaired = []
        """The callees of what this run has folded. Whoever has done a step sets it to Looked.left."""

    def is_due(self, state: FoldState) -> bool:
        """Whether there is anything to look up already."""
        return bool(self.left or looks_due(state, self._now))

    def look(
        self, state: FoldState, waiting: Sequence[CachedHalves], new: Sequence[HalvesMessage] = ()
    ) -> Looked:
        """Look for the parents of what is due, the oldest first, then of what earlier steps of this run have left.

        `waiting` are all that wait; `new`, what is folded meanwhile. At most TRACES_MAX are looked up, and SPANS_MAX
        spans read, but for the last trace; the rest is for the next step.
        """
        known = [*waiting, *self._folding(new)]
        looked = Looked(
            set(), state.looked_sequence, state.looked_trace_id, self.left, TRACES_MAX, SPANS_MAX
        )
        for item in looks_due(state, self._now)[:ITEMS_MAX]:
            unpaired = self._unpaired_of(known, item)
            unpaired = unpaired[bisect_right(unpaired, item.after, key=itemgetter(0)) :]
            looked, rest = self._looked_up(looked, unpaired)
            if rest:
                seen_to = unpaired[-len(rest) - 1][0] if len(rest) < len(unpaired) else item.after
                return looked._replace(trace_id=seen_to)
            looked = looked._replace(sequence=item.sequence, trace_id=b"")
            self._unpaired.pop(item.sequence, None)
        looked, rest = self._looked_up(looked, self.left)
        return looked._replace(left=rest)

    def look_early(
        self,
        looked: Looked,
        waiting: Sequence[CachedHalves],
        new: Sequence[HalvesMessage],
        early: Sequence[HalvesMessage],
        *,
        at_once: bool,
    ) -> Looked:
        """The same look, which goes on with the callees of `early`, a part of `new`, if that is to be `at_once`."""
        wanted = {key for message in early for key, _ in keys_in(message)[1]}
        if not wanted:
            return looked
        item = Due(_FOLDING, self._now)
        callees = _uncalled([*waiting, *self._folding(new)], item, wanted)
        unpaired = by_trace_of(callees)
        if at_once and not looked.left:
            looked, unpaired = self._looked_up(looked, unpaired)
        return looked._replace(left=[*looked.left, *unpaired])

    def _folding(self, new: Sequence[HalvesMessage]) -> list[CachedHalves]:
        return [
            CachedHalves(_FOLDING, self._now, message, trace_ids_in(message)) for message in new
        ]

    def _unpaired_of(self, known: Sequence[CachedHalves], item: Due) -> Unpaired:
        """An item's callees that were unpaired when it was first asked for: callers may have come since, to no harm."""
        if item.sequence not in self._unpaired:
            wanted = {key for key in callee_keys(known, item) if key[0] > item.after}
            self._unpaired[item.sequence] = by_trace_of(_uncalled(known, item, wanted))
        return self._unpaired[item.sequence]

    def _looked_up(self, looked: Looked, unpaired: Unpaired) -> tuple[Looked, Unpaired]:
        """The look with some more traces, and what is left of them."""
        found = set(looked.parents)
        traces, spans = 0, 0
        if looked.spans_left > 0:
            for callees, stored in looked_up(
                self._store, unpaired[: looked.traces_left], self._now
            ):
                found.update(chain.from_iterable(parents_of(each, stored) for each in callees))
                traces, spans = traces + 1, spans + stored.span_count
                if spans >= looked.spans_left:
                    break
        looked = looked._replace(
            parents=found,
            traces_left=looked.traces_left - traces,
            spans_left=looked.spans_left - spans,
        )
        return looked, unpaired[traces:]


_FOLDING = 1 << 62
"""The sequence of what is folded now: after all that wait."""


def looked_up(
    store: ItemStore, unpaired: Unpaired, now_unix_seconds: int
) -> Iterator[tuple[list[Callee], StoredSpans]]:
    """The callees of each trace, and its spans."""
    ids = [trace_id for trace_id, _ in unpaired]
    with closing(read_traces(store, ids, now_unix_seconds)) as traces:
        for (_, callees), (_, spans) in zip(unpaired, traces, strict=True):
            yield callees, StoredSpans(spans)


def _uncalled(waiting: Sequence[CachedHalves], item: Due, wanted: set[HalfKey]) -> list[Callee]:
    """The callees of these keys in an item for whose key no caller is known at all: one that came too early is for the
    end. `wanted` is used up."""
    traces = traces_of(wanted)
    for kept in waiting:
        if of_both := kept.trace_ids & traces:
            wanted -= keys_in(kept.message, of_both)[0]
    return unpaired_callees(waiting, item, wanted) if wanted else []


def callee_keys(waiting: Iterable[CachedHalves], item: Due) -> set[HalfKey]:
    """The keys of an item's callees."""
    own_keys = (keys_in(kept.message)[1] for kept in waiting if kept.sequence == item.sequence)
    return {key for key, _ in chain.from_iterable(own_keys)}


def unpaired_callees(
    waiting: Sequence[CachedHalves], item: Due, wanted: set[HalfKey]
) -> list[Callee]:
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
    return unpaired(first, item.folded_unix_seconds, of_traces, window)


def by_trace_of(callees: Iterable[Callee]) -> Unpaired:
    found: dict[bytes, list[Callee]] = defaultdict(list)
    for callee in callees:
        found[callee.trace_id].append(callee)
    return sorted(found.items())

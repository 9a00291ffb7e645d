"""Waiting half-edges, remembered between the steps of a fold and the runs of a warm function.

A fold must know every half that waits, those of two hours, to know what a new one changes; looking for them in the
table each time was most of its work, and of what it read. What a step has kept never changes: it is written once, in
the transaction that gives it its number. So it is read once.

An answer needs the halves of few traces, once. Filters (`model/trace_filter.py`) say which steps may have any of them;
the others are not read. A step is remembered whole or not at all.
"""

from __future__ import annotations

from heapq import nlargest
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chalicelib.model.halves import trace_ids_in
from chalicelib.model.trace_filter import short_ids
from chalicelib.store.shard import read_filters, read_halves

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Sequence, Set

    from chalicelib.model.clew_pb2 import FoldState
    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.store.items import ItemStore

BYTES_MAX = 200_000_000
"""The bound for all shards together. What exceeds it is read each time, as it is passed."""
_BYTES_PER_TRACE = 120
"""What a trace id takes in a set of them."""
QUERIES_MAX = 16
"""The most queries for a shard's half-edges: they take a tenth of a second, one after the other. Steps between are read
rather than asking more often."""

Number = tuple[int, int]
"""A step's sequence, and when it was folded (Unix seconds): two steps of one number would be of two databases."""


class CachedHalves(NamedTuple):
    """One of the messages of a step's halves."""

    sequence: int
    folded_unix_seconds: int
    message: HalvesMessage
    trace_ids: frozenset[bytes]

    @property
    def bytes_taken(self) -> int:
        return self.message.ByteSize() + _BYTES_PER_TRACE * len(self.trace_ids)


class _Known(NamedTuple):
    """What is known of one shard."""

    halves: dict[Number, list[CachedHalves]]
    filters: dict[Number, array[int]]
    """The short ids of the traces of each step whose half-edges are not known."""


Value = TypeVar("Value")


class HalfEdgeCache:
    """A cache of the waiting half-edges of every shard that was asked for."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self.bytes_taken = 0
        """The memory that the cache takes, about."""
        self._shards: dict[int, _Known] = {}

    def waiting(
        self,
        store: ItemStore,
        shard: int,
        state: FoldState,
        wanted_traces: Set[bytes] | None = None,
    ) -> Iterator[CachedHalves]:
        """All that a fold-state says is waiting; or, of `wanted_traces`, at least all that have halves of these.

        What is not known yet is read. Raises StoreThrottled or StoreError.
        """
        known = self._shards.setdefault(shard, _Known({}, {}))
        pending = [(each.sequence, each.folded_unix_seconds) for each in state.pending]
        self._forget_all_but(known, set(pending))
        # A copy: what another thread adds meanwhile is read here as well, and not left out.
        halves = dict(known.halves)
        for of_step in halves.values():
            yield from of_step
        missing = [number for number in pending if number not in halves]
        wanted = missing
        if wanted_traces is not None:
            have_filters = {each.sequence for each in state.pending if each.has_filter}
            filtered = [number for number in missing if number[0] in have_filters]
            filters = self._filters(store, shard, known, filtered)
            wanted = _perhaps_with(wanted_traces, missing, filters)
        for first, last in ranges([pending.index(number) for number in wanted], QUERIES_MAX):
            yield from self._read(store, shard, known, pending[first : last + 1], set(missing))

    def _filters(
        self, store: ItemStore, shard: int, known: _Known, filtered: Sequence[Number]
    ) -> dict[Number, array[int]]:
        """The filters of these steps that are there: one that has expired is none."""
        found = {number: known.filters[number] for number in filtered if number in known.filters}
        unread = dict(number for number in filtered if number not in found)
        if unread:
            for sequence, filter_ in read_filters(store, shard, min(unread), max(unread)):
                if sequence in unread:
                    number = (sequence, unread[sequence])
                    found[number] = filter_
                    self._remember(known.filters, number, filter_, _filter_bytes(filter_))
        return found

    def _read(
        self,
        store: ItemStore,
        shard: int,
        known: _Known,
        numbers: Sequence[Number],
        missing: Set[Number],
    ) -> Iterator[CachedHalves]:
        """Read the missing ones of these steps, which are neighbours."""
        folded_by_sequence = dict(numbers)
        read = read_halves(store, shard, numbers[0][0], numbers[-1][0])
        for sequence, messages in groupby(read, itemgetter(0)):
            folded = folded_by_sequence.get(sequence, 0)
            number = (sequence, folded)
            if number in missing:
                of_step = [
                    CachedHalves(sequence, folded, message, trace_ids_in(message))
                    for _, message in messages
                ]
                self._remember(known.halves, number, of_step, _halves_bytes(of_step))
                yield from of_step

    def _remember(
        self, memory: dict[Number, Value], number: Number, value: Value, size: int
    ) -> None:
        # A laptop's schedule and its tests may fold side by side: each reads, and one is remembered.
        if number not in memory and self.bytes_taken + size <= self._bytes_max:
            memory[number] = value
            self.bytes_taken += size

    def _forget_all_but(self, known: _Known, pending: Set[Number]) -> None:
        for gone in known.halves.keys() - pending:
            self.bytes_taken -= _halves_bytes(known.halves.pop(gone, ()))
        for gone in known.filters.keys() - (pending - known.halves.keys()):
            self.bytes_taken -= _filter_bytes(known.filters.pop(gone, ()))


def _halves_bytes(of_step: Sequence[CachedHalves]) -> int:
    return sum(each.bytes_taken for each in of_step)


def _filter_bytes(short_ids: Sequence[int]) -> int:
    return 8 * len(short_ids)


def _perhaps_with(
    traces: Set[bytes], numbers: Sequence[Number], filters: dict[Number, array[int]]
) -> list[Number]:
    """The steps that may have halves of these traces: all but those whose filter says that they have none."""
    wanted = set(short_ids(b"".join(traces)))
    return [
        number
        for number in numbers
        if number not in filters or not wanted.isdisjoint(filters[number])
    ]


def ranges(places: Sequence[int], count_max: int) -> list[tuple[int, int]]:
    """(First, last) of ranges, at most so many, that cover ascending places and as few others as may be.

    They end where the gaps are widest.
    """
    if not places:
        return []
    gaps = [i for i in range(1, len(places)) if places[i] - places[i - 1] > 1]
    ends = nlargest(count_max - 1, gaps, key=lambda i: places[i] - places[i - 1])
    return [(places[i], places[j - 1]) for i, j in pairwise([0, *sorted(ends), len(places)])]

"""Waiting half-edges, remembered between the steps of a fold and the runs of a warm function.

A fold must know every half that waits, those of two hours, to know what a new one changes; looking for them in the
table each time was most of its work, and of what it read. What a step has kept never changes: it is written once, in
the transaction that gives it its number. So it is read once.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.halves import halves_from, trace_ids_in
from chalicelib.store.shard import read_halves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.model.clew_pb2 import FoldState
    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.halves import HalfKey, Halves
    from chalicelib.store.items import ItemStore

BYTES_MAX = 200_000_000
"""Of all shards. What is beyond them is read each time, as it is passed."""
_BYTES_PER_TRACE = 120
"""What a trace id takes in a set of them."""

Number = tuple[int, int]
"""A step's sequence, and when it was folded (Unix seconds): two steps of one number would be of two databases."""


class Kept(NamedTuple):
    """One of the messages of a step's halves."""

    sequence: int
    folded_unix_seconds: int
    message: HalvesMessage
    trace_ids: frozenset[bytes]

    def halves(self, wanted: set[HalfKey], wanted_traces: set[bytes]) -> Halves | None:
        """Those of the wanted keys; None if there are none of their traces."""
        traces = self.trace_ids & wanted_traces
        return halves_from(self.message, wanted, traces) if traces else None

    @property
    def bytes_taken(self) -> int:
        return self.message.ByteSize() + _BYTES_PER_TRACE * len(self.trace_ids)


class RememberedHalves:
    """Of every shard that was asked for."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._shards: dict[int, dict[Number, list[Kept]]] = {}

    def waiting(self, store: ItemStore, shard: int, state: FoldState) -> Iterator[Kept]:
        """All that a fold-state says is waiting; what is not known yet is read. Raises StoreThrottled or StoreError."""
        pending = {each.sequence: each.folded_unix_seconds for each in state.pending}
        known = self._shards.setdefault(shard, {})
        for gone in known.keys() - set(pending.items()):
            self._bytes -= sum(each.bytes_taken for each in known.pop(gone, ()))
        for of_step in list(known.values()):
            yield from of_step
        missing = pending.keys() - {sequence for sequence, _ in known}
        if missing:
            read = read_halves(store, shard, min(missing))
            for sequence, messages in groupby(read, itemgetter(0)):
                if sequence in missing:
                    folded = pending[sequence]
                    of_step = [
                        Kept(sequence, folded, message, trace_ids_in(message))
                        for _, message in messages
                    ]
                    self._remember(known, (sequence, folded), of_step)
                    yield from of_step

    def _remember(
        self, known: dict[Number, list[Kept]], number: Number, of_step: list[Kept]
    ) -> None:
        size = sum(each.bytes_taken for each in of_step)
        # A laptop's schedule and its tests may fold side by side: each reads, and one is remembered.
        if number not in known and self._bytes + size <= self._bytes_max:
            known[number] = of_step
            self._bytes += size

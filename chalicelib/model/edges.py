"""Edges: calls from one service to another, or to something that sends no spans itself.

Edges merge in any order and grouping to the same value, also where a part takes counts away again: a call counts
under the name that its caller knows (an address, a queue) until the called service is found.
"""

from __future__ import annotations

from collections import defaultdict
from enum import IntEnum
from typing import TYPE_CHECKING

from chalicelib.model.clew_pb2 import Edges as EdgesMessage
from chalicelib.model.frame import reading
from chalicelib.model.measure import Measure, measure_from, measure_message, merged_message
from chalicelib.model.statistics import above_cap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EDGES_MAX = 2_000
"""Edges of a minute, hour or day and shard; the rest is counted together, as `other`."""


class EdgeKind(IntEnum):
    RPC = 1
    MESSAGING = 2
    DATABASE = 3
    EXTERNAL = 4
    PARENT = 5
    """A span below another service's, of kinds of which Zipkin's dependency linker makes no link; else as RPC."""

    # A key's hash goes by its text: a kind is to have that of its number.
    __repr__ = int.__repr__


EdgeKey = tuple[str, str, int]
"""Caller, callee, EdgeKind."""


CallCounts = dict[EdgeKey, tuple[int, int]]
"""Edge → calls, and those of them that failed."""


class Edge:
    """One edge's calls. An edge whose calls were all taken away stays, with its exemplar: see `Edges`."""

    __slots__ = ("exemplar_trace_id", "measure")

    def __init__(self, measure: Measure, exemplar_trace_id: bytes) -> None:
        self.measure = measure
        self.exemplar_trace_id = exemplar_trace_id
        """The one, among all that were offered, whose reversed bytes are smallest (older senders pad on the left)."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Edge)
            and self.measure == other.measure
            and self.exemplar_trace_id == other.exemplar_trace_id
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Edge({self.measure}, {self.exemplar_trace_id.hex()})"


class Edges:
    """Edges by key, and what is above the cap.

    An edge with no calls left is kept: were it dropped, its exemplar would depend on the order of arrival.
    Answers leave it out.
    """

    __slots__ = ("edges", "other")

    def __init__(self) -> None:
        self.edges: dict[EdgeKey, Edge] = {}
        self.other = Measure()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edges) and self.edges == other.edges and self.other == other.other

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Edges({self.edges}, {self.other})"

    def offer(self, key: EdgeKey, measure: Measure, exemplar_trace_id: bytes) -> None:
        """Merge `measure` into one edge, and keep the smaller exemplar (b"" is none)."""
        edge = self.edges.get(key)
        if edge is None:
            self.edges[key] = Edge(measure.copy(), exemplar_trace_id)
        else:
            edge.measure.add(measure)
            edge.exemplar_trace_id = smaller_exemplar(edge.exemplar_trace_id, exemplar_trace_id)

    def add(self, added: Edges) -> None:
        """Merge another in; it is not changed."""
        for key, edge in added.edges.items():
            self.offer(key, edge.measure, edge.exemplar_trace_id)
        self.other.add(added.other)
        for key in above_cap(self.edges, EDGES_MAX):
            self.other.add(self.edges.pop(key).measure)

    def copy(self) -> Edges:
        copied = Edges()
        copied.add(self)
        return copied


def shown_edges(edges: Edges) -> dict[EdgeKey, Edge]:
    """The edges that have calls, by caller, callee and kind; those of kind PARENT are among those of RPC."""
    shown = Edges()
    for (caller, callee, kind), edge in edges.edges.items():
        if edge.measure.calls:
            as_kind = EdgeKind.RPC if kind == EdgeKind.PARENT else kind
            shown.offer((caller, callee, as_kind), edge.measure, edge.exemplar_trace_id)
    return shown.edges


def call_counts_of(edges: Edges) -> CallCounts:
    return {key: (edge.measure.calls, edge.measure.errors) for key, edge in edges.edges.items()}


def smaller_exemplar(one: bytes, other: bytes) -> bytes:
    """The exemplar that stays of two; b"" is none."""
    if not one or not other:
        return one or other
    return one if one[::-1] <= other[::-1] else other


def smallest_exemplar(trace_ids: Iterable[bytes]) -> bytes:
    """The one that stays of many, none of which is b""."""
    return min([trace_id[::-1] for trace_id in trace_ids])[::-1]


def edges_message(edges: Edges) -> EdgesMessage:
    """The stored form of edges: sorted by caller, callee and kind."""
    return EdgesMessage(
        edges=[
            EdgesMessage.Edge(
                caller=caller,
                callee=callee,
                kind=kind,
                measure=measure_message(edge.measure),
                exemplar_trace_id=edge.exemplar_trace_id,
            )
            for (caller, callee, kind), edge in sorted(
                edges.edges.items(), key=lambda item: item[0]
            )
        ],
        other=measure_message(edges.other),
    )


@reading("edges")
def edges_from(message: EdgesMessage) -> Edges:
    """The inverse of `edges_message`. Raises StoreError for damaged ones."""
    edges = Edges()
    edges.edges = {
        (edge.caller, edge.callee, edge.kind): Edge(
            measure_from(edge.measure), edge.exemplar_trace_id
        )
        for edge in message.edges
    }
    edges.other = measure_from(message.other)
    return edges


@reading("edges")
def merged_edges(parts: Sequence[EdgesMessage]) -> EdgesMessage:
    """What decoding, adding and encoding these comes to; an edge that one part alone has is copied as it is.

    Raises StoreError for damaged ones.
    """
    edges: dict[EdgeKey, list[EdgesMessage.Edge]] = defaultdict(list)
    for part in parts:
        for each in part.edges:
            edges[each.caller, each.callee, each.kind].append(each)
    other = [part.other for part in parts]
    for key in above_cap(edges, EDGES_MAX):
        other += [each.measure for each in edges.pop(key)]
    return EdgesMessage(
        edges=[_merged_edge(edges[key]) for key in sorted(edges)], other=merged_message(other)
    )


def _merged_edge(parts: Sequence[EdgesMessage.Edge]) -> EdgesMessage.Edge:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    trace_ids = [part.exemplar_trace_id for part in parts if part.exemplar_trace_id]
    return EdgesMessage.Edge(
        caller=first.caller,
        callee=first.callee,
        kind=first.kind,
        measure=merged_message([part.measure for part in parts]),
        exemplar_trace_id=smallest_exemplar(trace_ids) if trace_ids else b"",
    )

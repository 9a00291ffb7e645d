"""Spans to make statistics, edges and rows of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from chalicelib.consume.half_edges import half_edges_of
from chalicelib.model.batch import SpanBatch, batches_of, spans_of
from chalicelib.model.halves import Halves, halves_from
from chalicelib.model.span import Scopes, Span
from tests.payloads import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    MILLI,
    NOON_NANO,
    PRODUCER,
    SERVER,
    Made,
    payload,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.model.edges import Edges

SERVICES = ("shop", "cart", "stock", "s" * 300)
ATTRIBUTES = (
    (),
    (("server.address", "stock.internal"),),
    (("db.system.name", "postgresql"), ("server.address", "db1")),
    (("messaging.system", "kafka"), ("messaging.destination.name", "orders")),
)

made_spans = st.builds(
    Made,
    trace=st.integers(1, 4),
    span=st.integers(1, 8),
    parent=st.integers(0, 8),
    service=st.sampled_from(SERVICES),
    name=st.sampled_from(("GET /", "send", "n" * 300, "é" * 200)),
    kind=st.sampled_from((0, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER)),
    start=st.sampled_from((NOON_NANO, NOON_NANO + 61 * 10**9, NOON_NANO - 4_000 * 10**9, 0)),
    duration=st.sampled_from((0, 1, 7 * MILLI, 9 * MILLI)),
    is_error=st.booleans(),
    attributes=st.sampled_from(ATTRIBUTES),
    links=st.sampled_from(((), ((1, 3),), ((2, 2), (1, 1)))),
    resource=st.sampled_from(((), (("host.name", "a"),))),
    flags=st.sampled_from((0, 0x101, 0x301)),
    events=st.sampled_from(((), (("retry", (("n", "1"),)),), (("", ()), ("exception", ())))),
)


def spans(made: Sequence[Made]) -> list[Span]:
    return list(spans_of(payload(made), Scopes()))


def batches(made: Sequence[Made]) -> list[SpanBatch]:
    return list(batches_of([payload(made)]))


def halves_and_edges_of(made: Sequence[Made]) -> tuple[Halves, dict[int, Edges]]:
    """The halves that spans add, and the edges (by minute) that are whole already."""
    halves = Halves(set(), set())
    edges: dict[int, Edges] = {}
    for half_edges in half_edges_of(batches(made), 1).values():
        edges = half_edges.edges()
        for message in half_edges.messages():
            part = halves_from(message)
            halves.callers.update(part.callers)
            halves.callees.update(part.callees)
    return halves, edges

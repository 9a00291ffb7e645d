"""Half-edges of spans: which spans make them, and which edges are whole at once."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model.edges import EdgeKind
from chalicelib.model.halves import Callee, Caller, Halves
from chalicelib.model.measure import Measure, bucket_of
from tests.model.spans import halves_and_edges_of, made_spans
from tests.payloads import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    MILLI,
    NOON_UNIX_SECONDS,
    PRODUCER,
    SERVER,
    Made,
    span_id,
    trace_id,
)

MINUTE = NOON_UNIX_SECONDS // 60
BUCKET = bucket_of(10 * MILLI)


class TestOfSpans:
    @pytest.mark.parametrize("kind", [0, INTERNAL])
    def test_other_kinds(self, kind):
        """Spans within a service are no half of anything."""
        assert halves_and_edges_of([Made(1, 2, kind=kind, parent=1)]) == (
            Halves(set(), set()),
            {},
        )

    @pytest.mark.parametrize("kind", [CLIENT, PRODUCER])
    def test_caller(self, kind):
        """A client or producer is a caller under its own span id, with or without a name for whom it calls."""
        halves, edges = halves_and_edges_of(
            [Made(1, 2, kind=kind), Made(1, 3, kind=kind, attributes=(("peer.service", "p"),))]
        )
        common = EdgeKind.EXTERNAL, False, MINUTE, BUCKET
        assert halves.callers == {
            Caller(trace_id(1), span_id(2), "shop", "", *common),
            Caller(trace_id(1), span_id(3), "shop", "p", *common),
        }
        assert not halves.callees
        assert not edges

    def test_database(self):
        """A call to a database is an edge at once, and no half."""
        attributes = (("db.system.name", "mysql"), ("server.address", "db1"))
        halves, edges = halves_and_edges_of(
            [Made(1, 2, kind=CLIENT, attributes=attributes, is_error=True)]
        )
        assert halves == Halves(set(), set())
        edge = edges[MINUTE].edges["shop", "db1", EdgeKind.DATABASE]
        assert edge.measure == Measure(1, 1, 0, {BUCKET: 1})
        assert edge.exemplar_trace_id == trace_id(1)

    def test_server(self):
        """A server looks for its parent; one without a parent looks for nobody."""
        halves, _ = halves_and_edges_of(
            [Made(1, 2, kind=SERVER, parent=1), Made(1, 3, kind=SERVER)]
        )
        own = crc32(span_id(2))
        assert halves.callees == {
            Callee(trace_id(1), span_id(1), own, "shop", EdgeKind.RPC, False, BUCKET)
        }

    def test_consumer(self):
        """A consumer looks for its parent and for every producer that it links to, in that one's trace."""
        halves, _ = halves_and_edges_of(
            [Made(1, 2, kind=CONSUMER, parent=1, links=((7, 3), (8, 4), (1, 1)))]
        )
        assert {half[:2] for half in halves.callees} == {
            (trace_id(1), span_id(1)),
            (trace_id(7), span_id(3)),
            (trace_id(8), span_id(4)),
        }
        assert {half.kind for half in halves.callees} == {EdgeKind.MESSAGING}

    def test_links_of_servers(self):
        """Links of other kinds of span are no calls."""
        halves, _ = halves_and_edges_of([Made(1, 2, kind=SERVER, links=((7, 3),))])
        assert not halves.callees

    @given(st.lists(made_spans, max_size=10), st.integers(0, 10))
    def test_parts(self, made, cut):
        """The halves of spans are the union of those of any two parts of them."""
        whole, _ = halves_and_edges_of(made)
        one, _ = halves_and_edges_of(made[:cut])
        other, _ = halves_and_edges_of(made[cut:])
        assert whole == Halves(one.callers | other.callers, one.callees | other.callees)


def test_shared_span():
    """A server's half under its client's own id looks for that id, and for no parent."""
    made = Made(1, 3, "cart", 2, kind=SERVER, attributes=(("zipkin.shared", True),))
    (callee,) = halves_and_edges_of([made])[0].callees
    assert (callee.trace_id, callee.span_id) == (trace_id(1), span_id(3))

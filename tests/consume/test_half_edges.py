"""Half-edges of spans: which spans make them, and which edges are whole at once."""

from __future__ import annotations

from collections import defaultdict
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.model.edges import EdgeKind
from chalicelib.model.halves import CHILD_KINDS, PARENT_KINDS, ROOT_KIND, Callee, Caller, Halves
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
    def test_within_a_service(self, kind):
        """A root, and a span whose parent came with it from its own service, are no half of anything."""
        made = [Made(1, 1, kind=kind), Made(1, 2, kind=kind, parent=1)]
        assert halves_and_edges_of(made) == (Halves(set(), set()), {})

    @pytest.mark.parametrize(
        ("kind", "edge_kind"),
        [
            (0, EdgeKind.PARENT),
            (INTERNAL, EdgeKind.PARENT),
            (CLIENT, EdgeKind.EXTERNAL),
            (PRODUCER, EdgeKind.PARENT),
        ],
    )
    @pytest.mark.parametrize("flags", [0, 1, 0x300])
    def test_a_span_without_its_parent_is_a_child(self, kind, edge_kind, flags):
        """A span whose parent did not come with it from its own service is a child, and looks for its parent."""
        others = [Made(1, 1, "cart", kind=CLIENT), Made(2, 1, kind=CLIENT)]
        made = Made(1, 2, kind=kind, parent=1, is_error=True, flags=flags)
        halves, _ = halves_and_edges_of([*others, made])
        is_error = edge_kind == EdgeKind.PARENT and kind != PRODUCER
        assert halves.callees == {
            Callee(trace_id(1), span_id(1), crc32(span_id(2)), "shop", edge_kind, is_error, BUCKET)
        }

    @pytest.mark.parametrize("kind", [0, INTERNAL, CLIENT, PRODUCER])
    def test_a_local_parent(self, kind):
        """A span whose flags say that its parent is of its own process is no child."""
        halves, _ = halves_and_edges_of([Made(1, 2, kind=kind, parent=1, flags=0x101)])
        assert not halves.callees

    @pytest.mark.parametrize(
        ("kind", "parent", "edge_kind"),
        [
            (0, 0, EdgeKind.PARENT),
            (INTERNAL, 0, EdgeKind.PARENT),
            (INTERNAL, 9, EdgeKind.RPC),
            (SERVER, 0, EdgeKind.RPC),
            (CONSUMER, 9, EdgeKind.RPC),
        ],
    )
    @pytest.mark.parametrize("child_kind", [0, SERVER, CLIENT])
    def test_a_span_that_stands_for_no_call_is_a_parent_if_looked_for(
        self, kind, parent, edge_kind, child_kind
    ):
        """A span that stands for no call is a parent if a span that looks for it came with it, whatever failed."""
        made = Made(1, 1, kind=kind, parent=parent, is_error=True, flags=0x100)
        halves, _ = halves_and_edges_of([Made(1, 2, "cart", parent=1, kind=child_kind), made])
        assert halves.callers - halves_and_edges_of([Made(1, 2, "cart", 1, kind=child_kind)])[
            0
        ].callers == {Caller(trace_id(1), span_id(1), "shop", "", edge_kind, False, MINUTE, 0)}

    @pytest.mark.parametrize(("seconds", "is_parent"), [(24, False), (25, True)])
    def test_a_long_span_is_always_a_parent(self, seconds, is_parent):
        """A span that lasts so long that those below it were looked up before it came is a parent anyway."""
        made = Made(1, 1, kind=INTERNAL, duration=seconds * 1_000 * MILLI)
        assert bool(halves_and_edges_of([made])[0].callers) == is_parent

    @pytest.mark.parametrize("kind", [CLIENT, PRODUCER])
    def test_a_client_or_producer_is_a_caller_under_its_own_id(self, kind):
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

    def test_a_database_call_is_an_edge_at_once(self):
        """A call to a database is an edge at once, and no half."""
        attributes = (("db.system.name", "mysql"), ("server.address", "db1"))
        halves, edges = halves_and_edges_of(
            [Made(1, 2, kind=CLIENT, attributes=attributes, is_error=True)]
        )
        assert halves == Halves(set(), set())
        edge = edges[MINUTE].edges["shop", "db1", EdgeKind.DATABASE]
        assert edge.measure == Measure(1, 1, 0, {BUCKET: 1})
        assert edge.exemplar_trace_id == trace_id(1)

    def test_a_server_looks_for_its_parent_or_its_own_id(self):
        """A server looks for its parent; one without a parent, whose sender tells nothing of it, for its own id."""
        halves, _ = halves_and_edges_of(
            [
                Made(1, 2, kind=SERVER, parent=1),
                Made(1, 3, kind=SERVER),
                Made(1, 4, kind=SERVER, flags=0x100),
            ]
        )
        common = "shop", False, BUCKET
        assert {(half[:3], half.kind, half[3], *half[5:]) for half in halves.callees} == {
            ((trace_id(1), span_id(1), crc32(span_id(2))), EdgeKind.RPC, *common),
            ((trace_id(1), span_id(3), crc32(span_id(3))), ROOT_KIND, *common),
        }

    def test_a_consumer_looks_for_its_parent_and_its_links(self):
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
        made = Made(1, 2, kind=SERVER, links=((7, 3),), flags=0x100)
        assert not halves_and_edges_of([made])[0].callees

    @given(st.lists(made_spans, max_size=10), st.integers(0, 10))
    @example([Made(1, 1, kind=0), Made(2, 1, kind=0), Made(1, 1, parent=1, kind=0)], 1)
    @example([Made(1, 1, kind=0), Made(1, 1, parent=1, kind=0), Made(2, 1, kind=0)], 2)
    @example([Made(1, 1), Made(1, 2, parent=1, kind=0), Made(2, 1)], 2)
    @example([Made(2, 1, kind=0), Made(1, 2, parent=1, kind=0), Made(1, 1, kind=0)], 2)
    def test_halves_of_spans_are_those_of_any_two_parts(self, made, cut):
        """The halves of spans are those of any two parts of them, with more parents and fewer children.

        Only of spans of one id in several traces, those below may be children needlessly, and need parents.
        """
        whole, _ = halves_and_edges_of(made)
        one, _ = halves_and_edges_of(made[:cut])
        other, _ = halves_and_edges_of(made[cut:])
        of_parts = Halves(one.callers | other.callers, one.callees | other.callees)
        assert all(half.kind in PARENT_KINDS for half in whole.callers - of_parts.callers)
        assert all(half.kind in CHILD_KINDS for half in of_parts.callees - whole.callees)
        traces_of_ids: dict[bytes, set[int]] = defaultdict(set)
        for each in made:
            traces_of_ids[span_id(each.span)].add(each.trace)
        parents, children = of_parts.callers - whole.callers, whole.callees - of_parts.callees
        assert all(half.kind in PARENT_KINDS for half in parents)
        assert all(half.kind in CHILD_KINDS for half in children)
        needless = {half.span_id for half in parents} | {half.span_id for half in children}
        assert all(len(traces_of_ids[each]) > 1 for each in needless)


def test_shared_span():
    """A server's half under its client's own id looks for that id, and for no parent."""
    made = Made(1, 3, "cart", 2, kind=SERVER, attributes=(("zipkin.shared", True),))
    (callee,) = halves_and_edges_of([made])[0].callees
    assert (callee.trace_id, callee.span_id) == (trace_id(1), span_id(3))

"""Which halves make which edges: captioned spans, and the calls that they come to."""

from __future__ import annotations

import itertools
from operator import itemgetter
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model import join
from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.halves import PARENT_KINDS, Callee, Caller, Halves, halves_messages
from chalicelib.model.join import KnownHalves, NewHalves, added_edges, calls_of, unpaired
from chalicelib.model.measure import Measure, bucket_of
from tests.model.spans import halves_and_edges_of, made_spans, spans
from tests.payloads import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    MILLI,
    PRODUCER,
    SERVER,
    Made,
    span_id,
    trace_id,
)

RPC, MESSAGING, EXTERNAL = EdgeKind.RPC, EdgeKind.MESSAGING, EdgeKind.EXTERNAL
PARENT = EdgeKind.PARENT
WINDOW = 100

CALL = Made(1, 1, "shop", kind=CLIENT)
NAMED = CALL._replace(attributes=(("server.address", "stock.internal"),))
SEND = Made(1, 1, "shop", kind=PRODUCER, attributes=(("messaging.destination.name", "orders"),))
SERVE = Made(1, 2, "stock", parent=1, kind=SERVER)
SHARED = Made(1, 1, "stock", parent=9, kind=SERVER)
CONSUME = Made(1, 2, "mail", parent=1, kind=CONSUMER)

CASES: list[tuple[str, list[Made], dict[tuple[str, str, int], tuple[int, int]]]] = [
    ("nothing known", [CALL], {}),
    ("a call to a name", [NAMED], {("shop", "stock.internal", EXTERNAL): (1, 0)}),
    ("a callee without its caller", [SERVE], {}),
    ("a call", [CALL, SERVE], {("shop", "stock", RPC): (1, 0)}),
    ("a callee takes the name's place", [NAMED, SERVE], {("shop", "stock", RPC): (1, 0)}),
    ("a call within a service", [CALL, SERVE._replace(service="shop")], {}),
    (
        "a call within a service takes the name's place too",
        [NAMED, SERVE._replace(service="shop")],
        {},
    ),
    (
        "two callees of one call",
        [NAMED, SERVE, SERVE._replace(span=3, service="cart")],
        {("shop", "stock", RPC): (1, 0), ("shop", "cart", RPC): (1, 0)},
    ),
    (
        "two callees of one service",
        [NAMED, SERVE, SERVE._replace(span=3)],
        {("shop", "stock", RPC): (2, 0)},
    ),
    ("a callee that comes twice", [CALL, SERVE, SERVE], {("shop", "stock", RPC): (1, 0)}),
    ("the caller failed", [CALL._replace(is_error=True), SERVE], {("shop", "stock", RPC): (1, 1)}),
    ("the callee failed", [CALL, SERVE._replace(is_error=True)], {("shop", "stock", RPC): (1, 1)}),
    (
        "both failed, which is one error",
        [CALL._replace(is_error=True), SERVE._replace(is_error=True)],
        {("shop", "stock", RPC): (1, 1)},
    ),
    (
        "a call to a name that failed",
        [NAMED._replace(is_error=True)],
        {("shop", "stock.internal", EXTERNAL): (1, 1)},
    ),
    ("a message nobody takes", [SEND], {("shop", "orders", MESSAGING): (1, 0)}),
    ("a message", [SEND, CONSUME], {("shop", "mail", MESSAGING): (1, 0)}),
    (
        "a message by a link from another trace",
        [SEND, CONSUME._replace(trace=9, parent=0, links=((1, 1),))],
        {("shop", "mail", MESSAGING): (1, 0)},
    ),
    (
        "a batch of messages",
        [SEND, SEND._replace(trace=2), CONSUME._replace(trace=9, parent=0, links=((1, 1), (2, 1)))],
        {("shop", "mail", MESSAGING): (2, 0)},
    ),
    (
        "a link to the parent is one message",
        [SEND, CONSUME._replace(links=((1, 1),))],
        {("shop", "mail", MESSAGING): (1, 0)},
    ),
    ("a server called by a producer", [SEND, SERVE], {("shop", "stock", MESSAGING): (1, 0)}),
    ("a parent of another trace", [CALL, SERVE._replace(trace=2)], {}),
    (
        "a server called by a server",
        [CALL._replace(kind=SERVER), SERVE],
        {("shop", "stock", RPC): (1, 0)},
    ),
    (
        "a server below another service's span without kind, which is the root",
        [CALL._replace(kind=INTERNAL), SERVE],
        {("shop", "stock", PARENT): (1, 0)},
    ),
    (
        "a server below another service's span without kind, which has a parent",
        [CALL._replace(kind=0, parent=9), SERVE],
        {("shop", "stock", RPC): (1, 0)},
    ),
    (
        "a span without kind below another service's client",
        [NAMED, SERVE._replace(kind=INTERNAL, is_error=True)],
        {("shop", "stock", PARENT): (1, 1)},
    ),
    (
        "a span without kind below another's, whose error is no call's",
        [CALL._replace(kind=0, is_error=True), SERVE._replace(kind=0)],
        {("shop", "stock", PARENT): (1, 0)},
    ),
    (
        "a client below another service's server: its own server is missing",
        [CALL._replace(kind=SERVER), SERVE._replace(kind=CLIENT, is_error=True)],
        {("shop", "stock", RPC): (1, 0)},
    ),
    (
        "a consumer below another service's server",
        [CALL._replace(kind=SERVER), CONSUME],
        {("shop", "mail", MESSAGING): (1, 0)},
    ),
    ("a span within its service", [CALL._replace(kind=0), CALL._replace(span=2, parent=1)], {}),
    (
        "a span below a client of its own service, which keeps its name",
        [NAMED, CALL._replace(span=2, parent=1, kind=INTERNAL)],
        {("shop", "stock.internal", EXTERNAL): (1, 0)},
    ),
    ("a client and a server that share an id", [CALL, SHARED], {("shop", "stock", RPC): (1, 0)}),
    (
        "a client that knows a name, and a server that share an id",
        [NAMED, SHARED],
        {("shop", "stock", RPC): (1, 0)},
    ),
    (
        "those below a server of the client's service",
        [NAMED._replace(parent=9), SHARED, Made(1, 9, "shop", kind=SERVER)],
        {("shop", "stock", RPC): (1, 0)},
    ),
    (
        "two calls in a row that share ids",
        [
            Made(1, 9, "web", kind=CLIENT),
            Made(1, 9, "shop", kind=SERVER),
            CALL._replace(parent=9),
            SHARED,
        ],
        {("web", "shop", RPC): (1, 0), ("shop", "stock", RPC): (1, 0)},
    ),
    (
        "what is below a server that shares its client's id",
        [CALL, SHARED, Made(1, 5, "stock", parent=1, kind=INTERNAL)],
        {("shop", "stock", RPC): (1, 0)},
    ),
    (
        "what is below a server that is flagged as sharing its client's id",
        [
            CALL,
            SHARED._replace(attributes=(("zipkin.shared", True),)),
            Made(1, 5, "stock", parent=1, kind=CLIENT),
        ],
        {("shop", "stock", RPC): (1, 0)},
    ),
    (
        "a chain",
        [CALL, SERVE, Made(1, 3, "stock", parent=2, kind=CLIENT), Made(1, 4, "db", parent=3)],
        {("shop", "stock", RPC): (1, 0), ("stock", "db", RPC): (1, 0)},
    ),
]


def halves_of(made: list[Made]) -> Halves:
    return halves_and_edges_of(made)[0]


def new_halves(made: list[Made], time: int) -> NewHalves:
    return NewHalves(list(halves_messages(halves_of(made))), time)


def folded(steps: list[tuple[int, list[Made]]]) -> Edges:
    """What these spans add, folded at these times one after the other; minutes put together."""
    known, total = KnownHalves(), Edges()
    for time, made in steps:
        for edges in added_edges(known, new_halves(made, time), WINDOW).values():
            total.add(edges)
        known.add(halves_of(made), time)
    return total


def halves_folded(steps: list[tuple[int, Halves]]) -> Edges:
    """What these halves add, folded at these times one after the other; minutes put together."""
    known, total = KnownHalves(), Edges()
    for time, halves in steps:
        new = NewHalves(list(halves_messages(halves)), time)
        for edges in added_edges(known, new, WINDOW).values():
            total.add(edges)
        known.add(halves, time)
    return total


def counts(edges: Edges) -> dict[Any, tuple[int, int]]:
    found = {key: (edge.measure.calls, edge.measure.errors) for key, edge in edges.edges.items()}
    return {key: count for key, count in found.items() if any(count)}


@pytest.mark.parametrize(("made", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
class TestCases:
    def test_at_once(self, made, expected):
        """These spans, folded together, are these calls and errors."""
        assert counts(folded([(0, made)])) == expected

    def test_in_any_order(self, made, expected):
        """Their halves, folded one by one in any order within the window, come to the same value, exemplars and all."""
        at_once, halves = folded([(0, made)]), halves_of(made)
        each = [Halves({half}, set()) for half in halves.callers]
        each += [Halves(set(), {half}) for half in halves.callees]
        for order in itertools.islice(itertools.permutations(each), 60):
            assert halves_folded(list(enumerate(order))) == at_once


class TestWindow:
    @pytest.mark.parametrize(
        ("later", "expected"),
        [
            (WINDOW, {("shop", "stock", RPC): (1, 0)}),
            (WINDOW + 1, {("shop", "stock.internal", EXTERNAL): (1, 0)}),
        ],
    )
    @pytest.mark.parametrize("order", [(NAMED, SERVE), (SERVE, NAMED)])
    def test_halves_pair_within_a_window_in_any_order(self, order, later, expected):
        """Halves that are folded a window apart pair; a second later they do not, whichever came first."""
        assert counts(folded([(0, [order[0]]), (later, [order[1]])])) == expected

    def test_copies_do_not_extend_it(self):
        """Of copies the first counts: a caller that comes again late pairs with nothing new."""
        steps = [(0, [NAMED]), (WINDOW, [NAMED]), (WINDOW + 50, [SERVE])]
        assert counts(folded(steps)) == {("shop", "stock.internal", EXTERNAL): (1, 0)}


class TestFigures:
    def test_latency_and_minute_are_the_callers(self):
        """An edge's call has the caller's duration, and counts in the caller's minute."""
        caller = CALL._replace(duration=50 * MILLI)
        callee = SERVE._replace(duration=MILLI, start=SERVE.start + 120 * 10**9)
        found = added_edges(KnownHalves(), new_halves([caller, callee], 0), WINDOW)
        ((minute, edges),) = found.items()
        assert minute == CALL.start // 60_000_000_000
        edge = edges.edges["shop", "stock", RPC]
        assert edge.measure == Measure(1, 0, 0, {bucket_of(50 * MILLI): 1})
        assert edge.exemplar_trace_id == trace_id(1)

    def test_a_name_that_was_taken_away(self):
        """A name that lost its calls to a callee is left with nothing but its exemplar."""
        edges = folded([(0, [NAMED]), (1, [SERVE])])
        assert edges.edges["shop", "stock.internal", EXTERNAL].measure == Measure()

    def test_copies_change_nothing(self):
        """What is folded again adds no call."""
        known = KnownHalves()
        known.add(halves_of([NAMED, SERVE]), 0)
        again = added_edges(known, new_halves([NAMED, SERVE], 5), WINDOW)
        assert all(not edge.measure for edges in again.values() for edge in edges.edges.values())

    def test_many_spans_of_one_id(self):
        """Of callers under one id a bounded number count, so that their pairs stay bounded."""
        made = [CALL._replace(service=f"s{i}") for i in range(30)]
        made += [SERVE._replace(span=100 + i) for i in range(30)]
        known = KnownHalves()
        known.add(halves_of(made), 0)
        found = list(calls_of((trace_id(1), (1).to_bytes(8, "big")), known, WINDOW))
        assert len(found) == join._CALLERS_OF_KEY_MAX * 30


class TestUnpaired:
    @pytest.mark.parametrize(
        ("caption", "callers", "is_unpaired"),
        [
            ("no caller", [], True),
            ("a caller", [(0, CALL)], False),
            ("a caller of its own service", [(0, CALL._replace(service="stock"))], False),
            ("a caller too late", [(WINDOW + 1, CALL)], True),
            ("a caller in time", [(WINDOW, CALL)], False),
            ("another call's caller", [(0, CALL._replace(span=5))], True),
        ],
    )
    def test_a_callee_without_a_caller_in_the_window_is_unpaired(
        self, caption, callers, is_unpaired
    ):
        """A callee is unpaired if no caller of its key came within the window, of whatever service."""
        known = KnownHalves()
        for time, made in callers:
            known.add(halves_of([made]), time)
        callees = halves_of([SERVE]).callees
        assert bool(unpaired(callees, 0, known, WINDOW)) == is_unpaired, caption


PLAIN = made_spans.map(lambda made: made._replace(events=(), trace_state="", name="GET /"))


@given(
    st.lists(st.tuples(st.sampled_from((0, WINDOW + 1)), st.lists(PLAIN, max_size=6)), max_size=4)
)
def test_together_or_one_by_one(steps):
    """Halves that meet no others add, counted together, what looking at each key of their traces comes to."""
    known, total, expected = KnownHalves(), Edges(), Edges()
    for time, made in sorted(steps, key=itemgetter(0)):
        new = new_halves(made, time)
        looked_at = join._changes(
            known, new.of_keys(new.keys), WINDOW, set(map(trace_id, range(9)))
        )
        for edges in looked_at.values():
            expected.add(edges)
        for edges in added_edges(known, new, WINDOW).values():
            total.add(edges)
        assert total == expected
        known.add(halves_of(made), time)


IDS = st.integers(1, 4).map(span_id)
HALVES = st.builds(
    Halves,
    st.sets(
        st.builds(
            Caller,
            st.integers(1, 2).map(trace_id),
            IDS,
            st.sampled_from(("shop", "cart", "stock")),
            st.sampled_from(("", "x")),
            st.sampled_from((RPC, MESSAGING, EXTERNAL, PARENT)).map(int),
            st.booleans(),
            st.integers(5, 6),
            st.integers(7, 8),
        ).map(lambda half: half._replace(peer="") if half.kind in PARENT_KINDS else half),
        max_size=5,
    ),
    st.sets(
        st.builds(
            Callee,
            st.integers(1, 2).map(trace_id),
            IDS,
            IDS.map(crc32),
            st.sampled_from(("shop", "cart", "stock")),
            st.sampled_from(EdgeKind).map(int),
            st.booleans(),
            st.integers(7, 8),
        ),
        max_size=5,
    ),
)


@given(st.lists(HALVES, max_size=6), st.randoms(use_true_random=False))
def test_any_halves_in_any_order_and_grouping(parts, rng):
    """Whatever halves come, in whatever order and grouping, again or not: the edges are those of their set."""
    whole = Halves(
        set().union(*(part.callers for part in parts)),
        set().union(*(part.callees for part in parts)),
    )
    deliveries = [*parts, *rng.choices(parts, k=2)] if parts else []
    rng.shuffle(deliveries)
    steps = [(rng.randrange(WINDOW), part) for part in deliveries]
    assert halves_folded(sorted(steps, key=itemgetter(0))) == halves_folded([(0, whole)])


def test_new_halves_take_their_own_keys_alone():
    """What new halves change is computed from what is known under their keys: the rest is not copied for each entry."""
    known = KnownHalves()
    known.add(halves_of([CALL, SERVE._replace(trace=2)]), 0)
    met = known.keys_among(new_halves([SERVE], 0).keys)
    assert met == {(trace_id(1), spans([CALL])[0].span_id)}
    assert set(known.of_keys(met).callers) == met
    assert not known.of_keys(met).callees

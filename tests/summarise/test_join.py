"""Which halves make which edges: captioned spans, and the calls that they come to."""

from __future__ import annotations

import itertools
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.halves import halves_messages
from chalicelib.model.measure import Measure, bucket_of
from chalicelib.summarise import join
from chalicelib.summarise.join import KnownHalves, NewHalves, added_edges, calls_of, lonely
from tests.model.spans import halves_and_edges_of, made_spans, spans
from tests.payloads import CLIENT, CONSUMER, INTERNAL, MILLI, PRODUCER, SERVER, Made, trace_id

if TYPE_CHECKING:
    from chalicelib.model.halves import Halves

RPC, MESSAGING, EXTERNAL = EdgeKind.RPC, EdgeKind.MESSAGING, EdgeKind.EXTERNAL
WINDOW = 100

CALL = Made(1, 1, "shop", kind=CLIENT)
NAMED = CALL._replace(attributes=(("server.address", "stock.internal"),))
SEND = Made(1, 1, "shop", kind=PRODUCER, attributes=(("messaging.destination.name", "orders"),))
SERVE = Made(1, 2, "stock", parent=1, kind=SERVER)
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
    ("a parent within the service", [CALL._replace(kind=INTERNAL), SERVE], {}),
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


def counts(edges: Edges) -> dict[Any, tuple[int, int]]:
    found = {key: (edge.measure.calls, edge.measure.errors) for key, edge in edges.edges.items()}
    return {key: count for key, count in found.items() if any(count)}


@pytest.mark.parametrize(("made", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
class TestCases:
    def test_at_once(self, made, expected):
        """These spans, folded together, are these calls and errors."""
        assert counts(folded([(0, made)])) == expected

    def test_in_any_order(self, made, expected):
        """Folded one by one in any order, within the window, they come to the same value, exemplars and all."""
        at_once = folded([(0, made)])
        for order in itertools.permutations(made):
            one_by_one = folded([(time, [each]) for time, each in enumerate(order)])
            assert counts(one_by_one) == expected
            assert one_by_one.edges.keys() >= at_once.edges.keys()


class TestWindow:
    @pytest.mark.parametrize(
        ("later", "expected"),
        [
            (WINDOW, {("shop", "stock", RPC): (1, 0)}),
            (WINDOW + 1, {("shop", "stock.internal", EXTERNAL): (1, 0)}),
        ],
    )
    @pytest.mark.parametrize("order", [(NAMED, SERVE), (SERVE, NAMED)])
    def test_ends(self, order, later, expected):
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


class TestLonely:
    @pytest.mark.parametrize(
        ("caption", "callers", "is_lonely"),
        [
            ("no caller", [], True),
            ("a caller", [(0, CALL)], False),
            ("a caller of its own service", [(0, CALL._replace(service="stock"))], False),
            ("a caller too late", [(WINDOW + 1, CALL)], True),
            ("a caller in time", [(WINDOW, CALL)], False),
            ("another call's caller", [(0, CALL._replace(span=5))], True),
        ],
    )
    def test_lonely(self, caption, callers, is_lonely):
        """A callee is lonely if no caller of its key came within the window, of whatever service."""
        known = KnownHalves()
        for time, made in callers:
            known.add(halves_of([made]), time)
        callees = halves_of([SERVE]).callees
        assert bool(lonely(callees, 0, known, WINDOW)) == is_lonely, caption


@given(st.lists(st.tuples(st.sampled_from((0, WINDOW + 1)), st.lists(made_spans, max_size=9))))
def test_together_or_one_by_one(steps):
    """Halves that meet no others add, counted together, what looking at each of their keys comes to."""
    known = KnownHalves()
    for time, made in sorted(steps, key=itemgetter(0)):
        new = new_halves(made, time)
        expected = join._changes(known, new.of_keys(new.keys), WINDOW)
        assert added_edges(known, new, WINDOW) == expected
        known.add(halves_of(made), time)


def test_new_halves_take_their_own_keys_alone():
    """What new halves change is computed from what is known under their keys: the rest is not copied for each entry."""
    known = KnownHalves()
    known.add(halves_of([CALL, SERVE._replace(trace=2)]), 0)
    met = known.keys_among(new_halves([SERVE], 0).keys)
    assert met == {(trace_id(1), spans([CALL])[0].span_id)}
    assert set(known.of_keys(met).callers) == met
    assert not known.of_keys(met).callees

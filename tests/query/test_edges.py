"""Edges: each call once, under the caller's minute, wherever the fold and the roll-up have brought it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.counting import CountingStore
from chalicelib import config
from chalicelib.jaeger.render import calls_by_pair
from chalicelib.model.edges import EdgeKey, EdgeKind, Edges
from chalicelib.model.measure import Measure, bucket_of
from chalicelib.native.render import edges_json
from chalicelib.query.edges import call_counts, edges
from chalicelib.query.parameters import Range
from chalicelib.query.snapshot import Seconds
from chalicelib.store.half_edge_cache import HalfEdgeCache
from chalicelib.store.shard import fold_state_put, read_shard
from chalicelib.summarise import fold as fold_module
from chalicelib.summarise.fold import FILTERED_BYTES_MIN
from chalicelib.zipkin.render import links_json
from tests.memory_store import MemoryStore
from tests.payloads import (
    CLIENT,
    CONSUMER,
    MILLI,
    NOON_NANO,
    NOON_UNIX_SECONDS,
    PRODUCER,
    SERVER,
    Made,
    trace_id,
)
from tests.query.committed import DAY, HOUR, MINUTE, SECOND, fold, put, roll_up, seconds_range
from tests.summarise.shard import Shard

if TYPE_CHECKING:
    from chalicelib.store.items import ItemStore

NOW = NOON_UNIX_SECONDS

CALL = [
    Made(
        1, 1, "shop", kind=CLIENT, duration=9 * MILLI, attributes=(("server.address", "cart:80"),)
    ),
    Made(1, 2, "cart", parent=1, kind=SERVER, duration=5 * MILLI, is_error=True),
]
RPC = ("shop", "cart", EdgeKind.RPC)
UNANSWERED = ("shop", "cart:80", EdgeKind.EXTERNAL)
DATABASE = (("db.system.name", "postgresql"), ("server.address", "db1"))
CASES = [
    ("a call, both halves", CALL, {RPC: (1, 1)}),
    (
        "an error in both halves counts once",
        [CALL[0]._replace(is_error=True), CALL[1]],
        {RPC: (1, 1)},
    ),
    ("a caller alone, by the name that it knows", CALL[:1], {UNANSWERED: (1, 0)}),
    ("a callee alone", CALL[1:], {}),
    (
        "a call within a service, which is no edge, not even to its address",
        [CALL[0], CALL[1]._replace(service="shop")],
        {},
    ),
    (
        "a database",
        [Made(1, 1, "shop", kind=CLIENT, is_error=True, attributes=DATABASE)],
        {("shop", "db1", EdgeKind.DATABASE): (1, 1)},
    ),
    (
        "a queue's consumer in a trace of its own, by its link",
        [Made(1, 1, "shop", kind=PRODUCER), Made(2, 2, "mailer", kind=CONSUMER, links=((1, 1),))],
        {("shop", "mailer", EdgeKind.MESSAGING): (1, 0)},
    ),
]


def figures(store: ItemStore, asked: Range | None = None) -> dict[EdgeKey, tuple[int, int]]:
    found = edges(store, asked or seconds_range(NOW, NOW + MINUTE), NOW).edges
    return {
        key: (edge.measure.calls, edge.measure.errors)
        for key, edge in found.edges.items()
        if edge.measure.calls
    }


@pytest.mark.parametrize(
    ("made", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_call(made, expected):
    """Each captioned set of spans makes exactly these edges, with these calls and errors, before and after the fold."""
    store = MemoryStore()
    put(store, made)
    assert figures(store) == expected
    fold(store)
    assert figures(store) == expected
    # The same spans, each in a message of its own, the fold between them.
    store = MemoryStore()
    for each in reversed(made):
        put(store, [each])
        fold(store)
    assert figures(store) == expected


def test_an_edge_has_the_callers_latency_and_an_exemplar():
    """The latency is the caller's, and the exemplar a trace of the edge."""
    store = MemoryStore()
    put(store, CALL)
    ((_, edge),) = [
        item
        for item in edges(store, seconds_range(NOW, NOW + 1), NOW).edges.edges.items()
        if item[1].measure.calls
    ]
    assert edge.measure.buckets == {bucket_of(9 * MILLI): 1}
    assert edge.exemplar_trace_id == trace_id(1)


@pytest.mark.parametrize(
    ("start", "end", "expected", "calls"),
    [
        (NOW, NOW + 1, (NOW, NOW + MINUTE), 1),
        (NOW + 59, NOW + 60, (NOW, NOW + MINUTE), 1),
        (NOW + 60, NOW + 61, (NOW + MINUTE, NOW + 2 * MINUTE), 0),
        (NOW - 1, NOW, (NOW - MINUTE, NOW), 0),
        (NOW - 9 * DAY - 1, NOW + 1, (NOW - 9 * DAY - HOUR, NOW + HOUR), 1),
        (NOW - 93 * DAY, NOW + 1, (NOW // DAY * DAY - 93 * DAY, NOW // DAY * DAY + DAY), 1),
    ],
)
def test_the_range_is_in_whole_minutes_while_these_are_kept(start, end, expected, calls):
    """A range is widened to whole minutes, an old one to hours or days, and the answer says to what."""
    store = MemoryStore()
    put(store, CALL)
    answer = edges(store, seconds_range(start, end), NOW)
    assert answer.seconds == Seconds(*expected)
    assert sum(edge.measure.calls for edge in answer.edges.edges.values()) == calls


spans = st.builds(
    Made,
    flags=st.just(0),
    trace=st.integers(1, 2),
    span=st.integers(1, 5),
    parent=st.integers(0, 5),
    service=st.sampled_from(("shop", "cart", "stock")),
    name=st.just("x"),
    kind=st.sampled_from((SERVER, CLIENT, PRODUCER, CONSUMER)),
    start=st.sampled_from([NOON_NANO - ago * SECOND for ago in (0, 61, 4_000, 90_000, 180_000)]),
    duration=st.sampled_from((0, 7 * MILLI)),
    is_error=st.booleans(),
    attributes=st.sampled_from(
        (
            (),
            (("server.address", "stock.internal"),),
            (("db.system.name", "postgresql"), ("server.address", "db1")),
        )
    ),
    links=st.sampled_from(((), ((1, 3),), ((2, 2), (1, 1)))),
    resource=st.just(()),
)
RANGES = [
    seconds_range(NOW - 3 * DAY, NOW + 1),
    seconds_range(NOW - DAY - 4 * HOUR, NOW + 1),
    seconds_range(NOW - 2 * HOUR, NOW - 5),
    seconds_range(NOW - 30, NOW + 30),
]


@pytest.mark.slow
@given(
    st.lists(st.lists(spans, min_size=1, max_size=6), min_size=1, max_size=5),
    st.lists(st.sampled_from(("fold", "roll-up", "one step", "nothing")), min_size=5, max_size=5),
    st.sampled_from((1, 3)),
    st.sampled_from((1, FILTERED_BYTES_MIN)),
)
@settings(max_examples=60, deadline=None)
def test_the_answer_is_the_same_before_and_after_fold_and_roll_up(batches, doing, shards, filtered):
    """What is counted of a call does not depend on what is folded and rolled up, at any range."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "SHARDS_READ", shards)
        patch.setattr(fold_module, "FILTERED_BYTES_MIN", filtered)
        unfolded, other = MemoryStore(), MemoryStore()
        remembered = HalfEdgeCache()
        for batch, done in zip(batches, doing, strict=False):
            put(unfolded, batch, shards=shards)
            put(other, batch, shards=shards)
            if done != "nothing":
                fold(other, shards=shards)
            if done in ("roll-up", "one step"):
                roll_up(other, NOW + 3 * DAY, shards, steps=1 if done == "one step" else 1_000)
            # Remembers what waits now.
            edges(other, RANGES[0], NOW, remembered)
        for asked in RANGES:
            expected = edges(unfolded, asked, NOW)
            answer = edges(other, asked, NOW)
            assert edges(other, asked, NOW, remembered) == answer
            assert answer.seconds == expected.seconds
            assert shown(answer.edges) == shown(expected.edges)
            assert all(edge.measure.calls >= 0 for edge in answer.edges.edges.values())


def shown(found: Edges) -> tuple[dict[EdgeKey, tuple[Measure, bytes]], Measure]:
    """What answers show of edges."""
    return {
        key: (edge.measure, edge.exemplar_trace_id)
        for key, edge in found.edges.items()
        if edge.measure.calls
    }, found.other


def test_half_edges_are_read_once():
    """Who remembers what waits reads none of it again: an answer is the same, without a query of it."""
    store, remembered = MemoryStore(), HalfEdgeCache()
    put(store, CALL[:1])
    fold(store)
    put(store, CALL[1:])
    first = edges(store, seconds_range(NOW, NOW + 1), NOW, remembered)
    store.calls.clear()
    assert edges(store, seconds_range(NOW, NOW + 1), NOW, remembered) == first
    warm = store.calls.count("query")
    assert edges(store, seconds_range(NOW, NOW + 1), NOW) == first
    assert store.calls.count("query") - warm == warm + 1


def folded_steps(store: ItemStore, steps: int, traces: int) -> list[Made]:
    """So many steps, a minute apart, of callers with random ids, each in a trace of its own; a caller of each step."""
    some = random.Random(7)
    callers: list[Made] = []
    for step in range(steps):
        made = [
            CALL[0]._replace(trace=some.getrandbits(128), span=some.getrandbits(64))
            for _ in range(traces)
        ]
        put(store, made)
        fold(store, NOW - MINUTE * (steps - step))
        callers.append(made[0])
    return callers


def callee_of(caller: Made) -> Made:
    return CALL[1]._replace(trace=caller.trace, parent=caller.span)


def test_what_is_read_of_waiting_halves():
    """An answer reads filters, and the halves of those steps alone that have a trace of what is not folded."""
    store = CountingStore()
    callers = folded_steps(store, steps=12, traces=1_000)
    put(store, [callee_of(callers[3]), CALL[1]])
    store.forget_counts()
    assert figures(store)[RPC] == (1, 1)
    of_step = store.stored_bytes()["halves"] / 12 / 4_096
    assert of_step > 5
    assert store.read_units["halves"] == pytest.approx(of_step, abs=1)
    assert 0 < store.read_units["filters"] < 12 * 1_000 * 5 / 4_096


def test_as_the_release_before_wrote():
    """Where the fold-state tells of no filters the answer is the same, whatever is left in their partition."""
    store = MemoryStore()
    callers = folded_steps(store, steps=3, traces=1_000)
    put(store, [callee_of(callers[1])])
    expected = figures(store)
    assert expected[RPC] == (1, 1)
    state = read_shard(store, 0).state
    assert all(each.has_filter for each in state.pending)
    for each in state.pending:
        each.ClearField("has_filter")
    state.version += 1
    store.transact([fold_state_put(0, state.version - 1, state)])
    assert figures(store) == expected


def test_on_dynamodb(store):
    """The same on the tables themselves: before the fold, after it, and after the roll-up."""
    expected = {("shop", "cart", EdgeKind.RPC): (1, 1)}
    asked = seconds_range(NOW - 2 * DAY, NOW + 1)
    put(store, CALL[1:])
    put(store, CALL[:1])
    assert figures(store, asked) == expected
    fold(store)
    assert figures(store, asked) == expected
    roll_up(store, NOW + 2 * DAY)
    assert figures(store, asked) == expected


@pytest.mark.parametrize(
    ("kinds", "is_link"),
    [((1, 2), False), ((2, 2), True), ((0, 0), False), ((3, 1), False), ((2, 3), True)],
)
def test_a_span_below_another_services(kinds, is_link):
    """Natively and for Jaeger any parent and child of two services are a call; for Zipkin, what its linker links."""
    above, below = kinds
    shard, asked = Shard(), Range(NOON_UNIX_SECONDS * 10**9, (NOON_UNIX_SECONDS + 60) * 10**9)
    shard.commit(Made(1, 1, "shop", kind=above), Made(1, 2, "cart", 1, kind=below))
    counts = call_counts(shard, asked, NOON_UNIX_SECONDS)
    assert calls_by_pair(counts) == {("shop", "cart"): 1}
    assert bool(links_json(counts)) == is_link
    (shown,) = edges_json(edges(shard, asked, NOON_UNIX_SECONDS))["edges"]
    assert [shown[key] for key in ("caller", "callee", "kind")] == ["shop", "cart", "rpc"]
    assert shown["calls"] == 1

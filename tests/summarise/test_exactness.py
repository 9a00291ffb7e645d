"""The promise: statistics and edges are the same bytes, whatever the batching, order, duplicates and interleaving."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.consume import half_edges
from chalicelib.consume.commit import PendingMessage, commit
from chalicelib.model import join
from chalicelib.model.edges import EdgeKind, edges_from
from chalicelib.store.shard import Bound, read_shard
from chalicelib.store.targets import edges_in
from chalicelib.summarise import parents
from chalicelib.summarise.fold import ShardFold
from chalicelib.summarise.job import Worker, summarise_shards
from chalicelib.summarise.roll_up import RollUp
from chalicelib.summarise.waiting import WaitingHalves
from tests.commits import pending_message
from tests.memory_store import MemoryStore
from tests.payloads import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    MILLI,
    NOON_NANO,
    NOON_UNIX_SECONDS,
    PRODUCER,
    SERVER,
    Made,
    payload,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

NOW_NANO = NOON_NANO
SERVICES = ("shop", "cart", "stock")

made_spans = st.builds(
    Made,
    trace=st.integers(1, 2),
    span=st.integers(1, 6),
    parent=st.integers(0, 6),
    name=st.sampled_from(("GET /", "send", "n" * 300)),
    kind=st.sampled_from((0, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER)),
    flags=st.sampled_from((0, 0x101, 0x301)),
    start=st.sampled_from((NOON_NANO, NOON_NANO + 61 * 10**9, NOON_NANO - 4_000 * 10**9)),
    duration=st.sampled_from((0, 1, 7 * MILLI, 9 * MILLI)),
    is_error=st.booleans(),
    attributes=st.sampled_from(
        (
            (),
            (("server.address", "stock.internal"),),
            (("db.system.name", "postgresql"), ("server.address", "db1")),
            (("messaging.system", "kafka"), ("messaging.destination.name", "orders")),
        )
    ),
    links=st.sampled_from(((), ((1, 3),), ((2, 2), (1, 1)))),
    resource=st.just(()),
    events=st.just(()),
    trace_state=st.just(""),
).map(lambda made: made._replace(service=SERVICES[made.span % 3]))
"""An id is of one span: of two that are not a call's halves, one may stand for both."""


def message(spans: Sequence[Made]) -> PendingMessage:
    content = payload(spans)
    return pending_message(content)


def targets(store: MemoryStore) -> dict[object, object]:
    """Every statistics, edges and catalogue item's value: what answers are made of."""
    return {
        (partition, sort): item["v"]
        for (table, partition, sort), item in store.items.items()
        if table == config.STATISTICS_TABLE and str(partition)[0] in "sec"
    }


def without_empty_edges(store: MemoryStore) -> dict[object, object]:
    """Of every minute the edges that have calls: what answers have."""
    found: dict[object, object] = {}
    for key, value in targets(store).items():
        assert isinstance(key, tuple)
        if key[0].startswith("e|") and key[1].startswith("m|"):
            assert isinstance(value, bytes)
            edges = edges_from(edges_in(value, pending=False))
            found[key] = {each: edge for each, edge in edges.edges.items() if edge.measure.calls}
    return {key: value for key, value in found.items() if value}


def look_to_the_end(store: MemoryStore, shards: int) -> None:
    """Every look-up that is to come, soon and when windows end."""
    for seconds in (3_000, 3_060, config.PENDING_WINDOW_SECONDS + 3_000):
        fold_all(store, shards, NOON_UNIX_SECONDS + seconds)


def fold_all(store: MemoryStore, shards: int, now: int = NOON_UNIX_SECONDS) -> None:
    summarise_shards(store, range(shards), now)


def straightforward(batches: list[list[Made]], shards: int) -> MemoryStore:
    """Each batch committed once, in order, all of it folded at the end."""
    store = MemoryStore()
    for batch in batches:
        commit(store, [message(batch)], NOW_NANO, shards)
    fold_all(store, shards)
    return store


def one_span_an_id(batches: list[list[Made]]) -> list[list[Made]]:
    """The same, where all spans of a trace and id are the first such one."""
    first: dict[tuple[int, int], Made] = {}
    return [[first.setdefault(made[:2], made) for made in batch] for batch in batches]


batchings = st.lists(st.lists(made_spans, min_size=1, max_size=5), min_size=1, max_size=5).map(
    one_span_an_id
)


@pytest.mark.slow
@given(batchings, st.randoms(use_true_random=False), st.sampled_from((1, 3)))
@settings(max_examples=100, deadline=None)
def test_any_order_grouping_duplicates_and_folds_end_with_the_same_bytes(
    batches: list[list[Made]], rng: random.Random, shards: int
) -> None:
    """Messages in any order and grouping, sent again at will, folded in between at will: the same edges with the next
    run's look, and the same targets in the end."""
    distinct = list({message(batch).digest: batch for batch in batches}.values())
    expected = straightforward(distinct, shards)
    deliveries = [message(batch) for batch in batches for _ in range(rng.randrange(1, 3))]
    rng.shuffle(deliveries)
    store = MemoryStore()
    moment = 0
    while deliveries:
        size = rng.randrange(1, 4)
        group = {each.digest: each for each in deliveries[:size]}
        deliveries = deliveries[size:]
        moment += 1
        commit(store, list(group.values()), NOW_NANO + moment, shards)
        if rng.random() < 0.5:
            fold_all(store, shards, NOON_UNIX_SECONDS + moment)
    fold_all(store, shards, NOON_UNIX_SECONDS + moment)
    for each in (expected, store):
        fold_all(each, shards, NOON_UNIX_SECONDS + 120)
    assert without_empty_edges(store) == without_empty_edges(expected)
    look_to_the_end(expected, shards)
    look_to_the_end(store, shards)
    assert targets(store) == targets(expected)


def delivered(
    batches: list[list[Made]], rng: random.Random, shards: int, most_messages: int = 4
) -> MemoryStore:
    """Messages in any order and grouping, sent again at will, folded and looked up in between at will."""
    deliveries = [message(batch) for batch in batches for _ in range(rng.randrange(1, 3))]
    rng.shuffle(deliveries)
    store = MemoryStore()
    seconds = 0
    while deliveries:
        size = rng.randrange(1, most_messages)
        group = {each.digest: each for each in deliveries[:size]}
        deliveries = deliveries[size:]
        seconds += rng.choice((1, 20, 60))
        commit(store, list(group.values()), NOW_NANO + seconds * 10**9, shards)
        if rng.random() < 0.5:
            fold_all(store, shards, NOON_UNIX_SECONDS + seconds)
    fold_all(store, shards, NOON_UNIX_SECONDS + seconds)
    return store


@pytest.mark.slow
@given(batchings, st.randoms(use_true_random=False), st.sampled_from((1, 3)))
@settings(max_examples=40, deadline=None)
def test_however_parents_come_the_edges_are_the_same(
    batches: list[list[Made]], rng: random.Random, shards: int
) -> None:
    """Parents that came with their children, before or after, or were found in the stored trace: the same targets."""
    distinct = list({message(batch).digest: batch for batch in batches}.values())
    expected = MemoryStore()
    commit(expected, [message(batch) for batch in distinct], NOW_NANO, shards)
    fold_all(expected, shards)
    look_to_the_end(expected, shards)
    store = delivered(distinct, rng, shards)
    look_to_the_end(store, shards)
    assert targets(store) == targets(expected)


zipkin_calls = st.lists(
    st.builds(
        lambda span, parent, client, server, peer, times: [
            Made(1, span, client, parent, kind=CLIENT, attributes=peer, duration=times[0]),
            Made(1, span, server, parent, kind=SERVER, duration=times[1]),
        ],
        st.integers(1, 4),
        st.integers(0, 4),
        st.sampled_from(SERVICES),
        st.sampled_from(("web", "mail")),
        st.sampled_from(((), (("peer.service", "x"),))),
        st.tuples(*[st.sampled_from((1, 7 * MILLI))] * 2),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda halves: halves[0].span,
)
local_spans = st.lists(
    st.builds(
        Made,
        trace=st.just(1),
        span=st.integers(5, 9),
        parent=st.integers(1, 4),
        service=st.sampled_from(("web", "mail")),
        kind=st.sampled_from((0, CLIENT)),
        links=st.just(()),
        attributes=st.just(()),
        resource=st.just(()),
        events=st.just(()),
        trace_state=st.just(""),
        flags=st.just(0),
        name=st.just("local"),
        start=st.just(NOON_NANO),
        duration=st.just(MILLI),
        is_error=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda made: made.span,
)


@pytest.mark.slow
@given(zipkin_calls, local_spans, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_shared_ids_without_their_flag_are_one_call_in_any_order(
    calls: list[list[Made]], local: list[Made], rng: random.Random
) -> None:
    """Zipkin's shared spans whose flag was dropped, and what is below them: one call each, whatever came first."""
    made = [half for call in calls for half in call] + local
    expected = MemoryStore()
    commit(expected, [message(made)], NOW_NANO, 1)
    fold_all(expected, 1)
    look_to_the_end(expected, 1)
    store = delivered([[each] for each in made], rng, 1, most_messages=3)
    fold_all(store, 1, NOON_UNIX_SECONDS + 2_000)
    soon = without_empty_edges(store)
    look_to_the_end(store, 1)
    assert without_empty_edges(store) == without_empty_edges(expected)
    assert soon == without_empty_edges(store)


ONE_BY_ONE = [
    Made(1, 1, "shop", kind=CLIENT, attributes=(("peer.service", "carts"),)),
    Made(1, 1, "cart", kind=SERVER),
    Made(1, 2, "cart", 1, kind=CLIENT),
    Made(1, 2, "stock", 1, kind=SERVER),
    Made(1, 3, "stock", 2, kind=INTERNAL),
    Made(2, 1, "shop", kind=INTERNAL),
    Made(2, 2, "cart", 1, kind=0),
    Made(3, 1, "shop", kind=CLIENT),
    Made(3, 2, "shop", 1, kind=INTERNAL),
    Made(4, 1, "shop", kind=INTERNAL, duration=60_000 * MILLI),
    Made(5, 1, "shop", kind=SERVER, flags=0x100),
    Made(6, 1, "shop", kind=SERVER, flags=0x100),
    Made(4, 2, "cart", 1, kind=SERVER),
]
"""Spans of every kind of half, a message each."""
IN_A_ROW = {
    ("shop", "cart", EdgeKind.RPC): 1,
    ("cart", "stock", EdgeKind.RPC): 1,
    ("shop", "cart", EdgeKind.PARENT): 2,
}


def calls_one_by_one(spans: Sequence[Made], until: int) -> dict[object, int]:
    """Calls by edge of these spans, each committed and folded by itself, a minute apart."""
    store = MemoryStore()
    for minute, made in enumerate(spans):
        at = NOON_UNIX_SECONDS + 60 * minute
        commit(store, [message([made])], at * 10**9, 1)
        fold_all(store, 1, at)
    fold_all(store, 1, NOON_UNIX_SECONDS + until)
    calls: Counter[object] = Counter()
    for found in without_empty_edges(store).values():
        assert isinstance(found, dict)
        calls.update({key: edge.measure.calls for key, edge in found.items()})
    return calls


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_minute_apart(is_reversed: bool) -> None:
    """Spans that come one by one, a minute apart, are the same calls two minutes after the last, in any order."""
    spans = ONE_BY_ONE[::-1] if is_reversed else ONE_BY_ONE
    assert calls_one_by_one(spans, 60 * len(spans) + 60) == IN_A_ROW


def _never(*_: object) -> set[bytes]:
    return set()


@pytest.mark.parametrize(
    ("caption", "module", "name", "broken"),
    [
        ("shared ids are not seen", join, "sharing_traces", _never),
        ("children of any service", join, "services_with_id", _never),
        ("what is found is not kept", parents, "parents_of", lambda *_: []),
        ("nothing is looked at", parents, "_uncalled", lambda *_: []),
        ("long spans are no parents", half_edges, "_LONG_NANO", 10**18),
        ("roots share no id", half_edges, "_local_flags", lambda batch: set(batch.flags)),
        ("before is forgotten", join, "_calls_before", lambda *_: []),
    ],
)
def test_a_planted_bug_is_found(monkeypatch, caption, module, name, broken):
    """What makes the edges exact is needed: without any of it, some order of these spans ends otherwise."""
    monkeypatch.setattr(module, name, broken)
    found = [calls_one_by_one(spans, 720) for spans in (ONE_BY_ONE, ONE_BY_ONE[::-1])]
    assert any(each != IN_A_ROW for each in found), caption


class Dies(Exception):
    pass


class DyingStore(MemoryStore):
    """Dies before or after the n-th write."""

    def __init__(self, items: MemoryStore, writes_left: int, *, after: bool) -> None:
        super().__init__()
        self.items = items.items
        self._writes_left = writes_left
        self._after = after

    def put_batch(self, *arguments: object) -> None:
        self._dying(super().put_batch, *arguments)

    def delete_batch(self, *arguments: object) -> None:
        self._dying(super().delete_batch, *arguments)

    def transact(self, *arguments: object) -> None:
        self._dying(super().transact, *arguments)

    def _dying(self, write: object, *arguments: object) -> None:
        assert callable(write)
        self._writes_left -= 1
        if self._writes_left == 0 and not self._after:
            raise Dies
        write(*arguments)
        if self._writes_left == 0:
            raise Dies


LATER = NOON_UNIX_SECONDS + 3 * 86_400


@pytest.mark.slow
@given(batchings, st.integers(1, 12), st.booleans(), st.sampled_from((1, 3)))
@settings(max_examples=80, deadline=None)
def test_a_function_killed_at_any_write_leaves_nothing_counted_twice_or_lost(
    batches: list[list[Made]], writes: int, after: bool, shards: int
) -> None:
    """Commit, fold and roll-up killed before or after any write, then run again: as if nothing had happened."""
    distinct = list({message(batch).digest: batch for batch in batches}.values())
    expected = straightforward(distinct, shards)
    fold_all(expected, shards, LATER)
    store = MemoryStore()

    def work(on: MemoryStore) -> None:
        for batch in distinct:
            commit(on, [message(batch)], NOW_NANO, shards)
        fold_all(on, shards, NOON_UNIX_SECONDS)
        fold_all(on, shards, LATER)

    try:
        work(DyingStore(store, writes, after=after))
    except Dies:
        work(store)
    # A second delivery of everything, and a second run of everything, change nothing.
    work(store)
    assert targets(store) == targets(expected)


@pytest.mark.slow
@given(batchings, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_two_folds_at_once_change_nothing(batches: list[list[Made]], rng: random.Random) -> None:
    """Two folders that have read the same state: the second's transaction is refused, and the result is one's."""
    distinct = list({message(batch).digest: batch for batch in batches}.values())
    expected = targets(straightforward(distinct, 1))
    store = MemoryStore()
    for batch in distinct:
        commit(store, [message(batch)], NOW_NANO, 1)
    workers: tuple[Worker, ...] = (
        ShardFold(store, 0, NOON_UNIX_SECONDS),
        RollUp(store, 0, NOON_UNIX_SECONDS),
        WaitingHalves(store, 0, NOON_UNIX_SECONDS),
    )
    stale = read_shard(store, 0)
    for _ in range(20):
        view = stale if rng.random() < 0.5 else read_shard(store, 0)
        stale = read_shard(store, 0) if rng.random() < 0.5 else stale
        rng.choice(workers).step(view)
    fold_all(store, 1)
    assert targets(store) == expected


@pytest.mark.slow
@given(batchings, st.builds(Bound, st.integers(1, 3), st.sampled_from((1, 200, 10**6))))
@settings(max_examples=60, deadline=None)
def test_a_backlog_is_folded_piece_by_piece(batches: list[list[Made]], bound: Bound) -> None:
    """A fold that looks at a few segments at a time, with new ones coming in anywhere between, counts each once."""
    distinct = list({message(batch).digest: batch for batch in batches}.values())
    expected = targets(straightforward(distinct, 1))
    store = MemoryStore()
    fold = ShardFold(store, 0, NOON_UNIX_SECONDS)
    for moment, batch in enumerate(reversed(distinct)):
        # Later commits sort before earlier ones, as those of a consumer whose clock is slow do.
        commit(store, [message(batch)], NOW_NANO - moment, 1)
        fold.step(read_shard(store, 0, bound))
    for _ in range(50):
        fold.step(read_shard(store, 0, bound))
    assert not list(read_shard(store, 0).entries)
    fold_all(store, 1)
    assert targets(store) == expected

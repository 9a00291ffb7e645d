"""The promise: statistics and edges are the same bytes, whatever the batching, order, duplicates and interleaving."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.store.commit import Counted, commit
from chalicelib.store.shard import Bound, read_shard
from chalicelib.summarise.fold import ShardFold
from chalicelib.summarise.job import Worker, summarise_shards
from chalicelib.summarise.roll_up import RollUp
from chalicelib.summarise.waiting import WaitingHalves
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
    service=st.sampled_from(SERVICES),
    name=st.sampled_from(("GET /", "send", "n" * 300)),
    kind=st.sampled_from((INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER)),
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
)


def message(spans: Sequence[Made]) -> Counted:
    content = payload(spans)
    return Counted(hashlib.sha256(content).digest(), NOON_UNIX_SECONDS, content)


def targets(store: MemoryStore) -> dict[object, object]:
    """Every statistics, edges and catalogue item's value: what answers are made of."""
    return {
        (partition, sort): item["v"]
        for (table, partition, sort), item in store.items.items()
        if table == config.STATISTICS_TABLE and str(partition)[0] in "sec"
    }


def fold_all(store: MemoryStore, shards: int, now: int = NOON_UNIX_SECONDS) -> None:
    summarise_shards(store, range(shards), now)


def straightforward(batches: list[list[Made]], shards: int) -> MemoryStore:
    """Each batch committed once, in order, all of it folded at the end."""
    store = MemoryStore()
    for batch in batches:
        commit(store, [message(batch)], NOW_NANO, shards)
    fold_all(store, shards)
    return store


batchings = st.lists(st.lists(made_spans, min_size=1, max_size=5), min_size=1, max_size=5)


@pytest.mark.slow
@given(batchings, st.randoms(use_true_random=False), st.sampled_from((1, 3)))
@settings(max_examples=100, deadline=None)
def test_any_order_grouping_duplicates_and_folds_end_with_the_same_bytes(
    batches: list[list[Made]], rng: random.Random, shards: int
) -> None:
    """Messages in any order and grouping, sent again at will, folded in between at will: the same targets."""
    distinct = list({message(batch).digest: batch for batch in batches}.values())
    expected = targets(straightforward(distinct, shards))
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
    assert targets(store) == expected


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

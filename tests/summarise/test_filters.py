"""Filters of the fold's steps: written with the halves, deleted with them, and only where they are worth it."""

from __future__ import annotations

import random

import pytest

from chalicelib import config
from chalicelib.store import layout
from chalicelib.store.limits import item_bytes
from chalicelib.store.shard import read_filters, read_shard
from chalicelib.summarise import fold, waiting
from tests.payloads import CLIENT, NOON_UNIX_SECONDS, SERVER, Made
from tests.summarise.shard import Shard

WINDOW = config.PENDING_WINDOW_SECONDS
CALL = [
    Made(1, 1, "shop", kind=CLIENT),
    Made(1 << 40, 2, "cart", parent=1, kind=SERVER),
    Made(7, 3, "cart", kind=CLIENT),
    Made(8, 4, "cart", kind=SERVER, flags=0x100),
]


class Watched(Shard):
    """Notes how many bytes each transaction has."""

    def __init__(self) -> None:
        super().__init__()
        self.transaction_bytes: list[int] = []

    def transact(self, actions):
        self.transaction_bytes.append(sum(item_bytes(action.item) for action in actions))
        super().transact(actions)


@pytest.fixture
def shard(monkeypatch):
    """Of which also the smallest step has a filter."""
    monkeypatch.setattr(fold, "FILTERED_BYTES_MIN", 1)
    return Watched()


def random_callers(count: int, seed: int = 0) -> list[Made]:
    """Each of a trace of its own, with ids that compression finds nothing in."""
    some = random.Random(seed)
    return [Made(some.getrandbits(128), some.getrandbits(64), kind=CLIENT) for _ in range(count)]


def filters(shard: Shard) -> list[str]:
    return shard.sorts_in(layout.filters_partition(0))


def has_filters(shard: Shard) -> list[bool]:
    return [each.has_filter for each in read_shard(shard, 0).state.pending]


def test_a_filter_has_the_traces_of_all_halves(shard):
    """A step's filter has the traces of all its halves; of a step without halves there is none."""
    shard.commit(*CALL)
    shard.summarise()
    shard.commit(Made(9, 1, flags=0x100))
    shard.summarise()
    ((sequence, short_ids),) = read_filters(shard, 0, 0, 99)
    assert (sequence, list(short_ids)) == (1, [0, 1, 7])
    assert has_filters(shard) == [True]


def test_a_filter_expires_with_its_halves(shard):
    """A filter expires when the halves do."""
    shard.commit(*CALL)
    shard.summarise()
    of_step = (layout.halves_partition(0), layout.filters_partition(0))
    expiry = {item["x"] for (_, p, _), item in shard.items.items() if p in of_step}
    assert expiry == {NOON_UNIX_SECONDS + 4 * WINDOW}


def test_small_step(monkeypatch):
    """A step whose halves are quickly read has no filter, and writes nothing more."""
    shard = Shard()
    shard.commit(*CALL)
    shard.summarise()
    assert (filters(shard), has_filters(shard)) == ([], [False])
    shard.commit(*random_callers(1_000))
    shard.summarise()
    assert len(filters(shard)) == 1
    assert has_filters(shard) == [False, True]


def test_too_large_for_an_item(shard, monkeypatch):
    """A step with more traces than an item has room for has no filter."""
    monkeypatch.setattr(fold, "ITEM_BYTES_MAX", 300)
    shard.commit(*random_callers(100))
    shard.summarise()
    assert (filters(shard), has_filters(shard)) == ([], [False])


def test_same_transaction(shard):
    """A fold that was overtaken leaves no filter, as it leaves no halves."""
    shard.commit(*CALL)
    stale = read_shard(shard, 0)
    shard.summarise()
    shard.commit(Made(9, 1, kind=CLIENT))
    before = dict(shard.items)
    fold.ShardFold(shard, 0, NOON_UNIX_SECONDS).step(stale)
    assert shard.items == before


def test_filters_are_deleted_with_their_halves(shard):
    """Filters are deleted with their halves, and not before."""
    shard.commit(*CALL)
    shard.summarise()
    shard.commit(Made(9, 1, kind=CLIENT))
    shard.summarise(NOON_UNIX_SECONDS + 60)
    shard.summarise(NOON_UNIX_SECONDS + WINDOW + 61)
    shard.summarise(NOON_UNIX_SECONDS + WINDOW + 62)
    assert len(filters(shard)) == 2
    shard.summarise(NOON_UNIX_SECONDS + 2 * WINDOW + 1)
    assert filters(shard) == [layout.filter_sort_key(2)]
    shard.summarise(NOON_UNIX_SECONDS + 2 * WINDOW + 61)
    assert (filters(shard), shard.waiting, has_filters(shard)) == ([], [], [])


def test_killed_before_it_deleted(shard, monkeypatch):
    """A fold that died between forgetting and deleting leaves filters and halves that nobody looks at."""
    shard.commit(*CALL)
    shard.summarise()
    shard.summarise(NOON_UNIX_SECONDS + WINDOW + 1)
    with monkeypatch.context() as patch:
        patch.setattr(Shard, "delete_batch", lambda *_: None)
        shard.summarise(NOON_UNIX_SECONDS + 2 * WINDOW + 1)
    assert (len(filters(shard)), has_filters(shard)) == (1, [])
    assert waiting.finished(read_shard(shard, 0).state, NOON_UNIX_SECONDS + 9 * WINDOW) == []


def test_a_filter_counts_within_its_transaction(shard, monkeypatch):
    """A filter counts among what a transaction holds: with it a step takes fewer entries."""
    for n in range(1, 9):
        shard.commit(*random_callers(50, seed=n))
    monkeypatch.setattr(fold, "STEP_BYTES_MAX", 8_000)
    shard.summarise()
    assert len(filters(shard)) >= 2
    assert max(shard.transaction_bytes) <= 8_000

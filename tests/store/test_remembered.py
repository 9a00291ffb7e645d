"""Waiting half-edges that are remembered: each is read once, and none is used that the fold-state does not name."""

from __future__ import annotations

import pytest

from chalicelib import config
from chalicelib.model.clew_pb2 import FoldState
from chalicelib.model.frame import seal
from chalicelib.model.halves import halves_messages
from chalicelib.store import layout
from chalicelib.store.remembered import RememberedHalves
from tests.memory_store import MemoryStore
from tests.model.spans import halves_and_edges_of
from tests.payloads import CLIENT, Made

SHARD = 3


def keep(store: MemoryStore, sequence: int, trace: int) -> None:
    """What the fold's step of this number writes: a caller's half."""
    halves, _ = halves_and_edges_of([Made(trace, 1, kind=CLIENT)])
    (message,) = halves_messages(halves)
    key = {"p": layout.halves_partition(SHARD), "s": layout.halves_sort_key(sequence, 0)}
    value = seal(message.SerializeToString(deterministic=True))
    store.put_batch(config.STATISTICS_TABLE, [{**key, "v": value, "x": 1}])


def state_of(*sequences: int, folded: int = 100) -> FoldState:
    state = FoldState()
    for sequence in sequences:
        state.pending.add(sequence=sequence, folded_unix_seconds=folded)
    return state


def traces_of(remembered: RememberedHalves, store: MemoryStore, state: FoldState) -> list[int]:
    found = remembered.waiting(store, SHARD, state)
    return sorted(int.from_bytes(each, "big") for kept in found for each in kept.trace_ids)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for sequence in (1, 2, 3):
        keep(store, sequence, trace=10 + sequence)
    store.calls.clear()
    return store


def test_read_once(store):
    """A second look asks the table nothing; what is new is read, and nothing before it."""
    remembered = RememberedHalves()
    assert traces_of(remembered, store, state_of(1, 2)) == [11, 12]
    assert traces_of(remembered, store, state_of(1, 2)) == [11, 12]
    assert store.calls == ["query"]
    assert traces_of(remembered, store, state_of(1, 2, 3)) == [11, 12, 13]
    assert len(store.calls) == 2


def test_named_alone(store):
    """What the fold-state does not name, or no longer, is not there: another fold may have lost, or deleted it."""
    remembered = RememberedHalves()
    assert traces_of(remembered, store, state_of(1, 3)) == [11, 13]
    assert traces_of(remembered, store, state_of(3)) == [13]
    assert traces_of(remembered, store, state_of(1)) == [11]


def test_another_database(store):
    """A number that was folded at another time is another step's: the tables were emptied, and filled anew."""
    remembered = RememberedHalves()
    traces_of(remembered, store, state_of(1))
    keep(store, 1, trace=99)
    assert traces_of(remembered, store, state_of(1, folded=200)) == [99]


def test_bounded(store):
    """With room for nothing, or for one of three, all are found, and the rest is read each time."""
    (one,) = RememberedHalves().waiting(store, SHARD, state_of(1))
    store.calls.clear()
    for room, reads in ((0, 2), (one.bytes_taken, 2), (10**6, 1)):
        remembered = RememberedHalves(room)
        store.calls.clear()
        for _ in range(2):
            assert traces_of(remembered, store, state_of(1, 2, 3)) == [11, 12, 13]
        assert len(store.calls) == reads


def test_room_is_given_back(store):
    """What has served leaves its room to others."""
    (one,) = RememberedHalves().waiting(store, SHARD, state_of(1))
    remembered = RememberedHalves(one.bytes_taken)
    traces_of(remembered, store, state_of(1))
    traces_of(remembered, store, state_of(2))
    store.calls.clear()
    assert traces_of(remembered, store, state_of(2)) == [12]
    assert store.calls == []


def test_shards_apart(store):
    """One shard's numbers are not another's."""
    remembered = RememberedHalves()
    traces_of(remembered, store, state_of(1))
    assert list(remembered.waiting(store, SHARD + 1, state_of(1))) == []

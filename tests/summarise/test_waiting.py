"""Halves whose window ends: a callee that no caller came for is looked up in its stored trace, once."""

from __future__ import annotations

import pytest

from chalicelib import config
from chalicelib.model.edges import EdgeKind
from chalicelib.model.measure import bucket_of
from chalicelib.store.shard import read_shard
from chalicelib.summarise import waiting
from chalicelib.summarise.waiting import WaitingHalves
from tests.payloads import CLIENT, INTERNAL, MILLI, NOON_UNIX_SECONDS, PRODUCER, SERVER, Made
from tests.summarise.shard import Shard

WINDOW = config.PENDING_WINDOW_SECONDS
AFTER = NOON_UNIX_SECONDS + WINDOW + 1
"""The first second at which what was folded at noon is checked."""
PARENT = Made(1, 1, "shop", kind=INTERNAL, duration=50 * MILLI)
CALLEE = Made(1, 2, "cart", parent=1, kind=SERVER, duration=MILLI)
EDGE = {("shop", "cart", EdgeKind.RPC): 1}


class Watched(Shard):
    """Notes whose stored traces are read."""

    def __init__(self) -> None:
        super().__init__()
        self.traces: list[object] = []

    def query(self, table, partition, *arguments, **more):
        if table == config.SPANS_TABLE:
            self.traces.append(partition)
        return super().query(table, partition, *arguments, **more)


@pytest.fixture
def shard():
    return Watched()


def test_after_the_window(shard):
    """A callee whose parent span is INTERNAL in another service makes an edge, when its window has ended."""
    shard.commit(PARENT, CALLEE)
    shard.summarise()
    shard.summarise(AFTER - 1)
    assert shard.calls_by_edge() == {}
    assert shard.traces == []
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == EDGE
    ((_, target),) = shard.edges().items()
    # The parent stands for no call: the latency is the callee's own.
    assert target.total.edges["shop", "cart", EdgeKind.RPC].measure.buckets == {bucket_of(MILLI): 1}


@pytest.mark.parametrize("seconds_between", [0, 60])
def test_only_once(shard, seconds_between):
    """A callee is looked up once, also if its message's copy, or another fold, came between; or in the same second."""
    shard.commit(PARENT, CALLEE)
    shard.summarise()
    shard.commit(CALLEE)
    shard.summarise(NOON_UNIX_SECONDS + seconds_between)
    for later in (0, 1, 60, 61, WINDOW, WINDOW + 61, 5 * WINDOW):
        shard.summarise(AFTER + later)
    assert shard.calls_by_edge() == EDGE
    assert len(shard.traces) == 1


@pytest.mark.parametrize(
    ("parent", "edge"),
    [
        (PARENT._replace(service="cart"), {}),
        (PARENT._replace(span=9), {}),
        (PARENT._replace(trace=2), {}),
        (PARENT._replace(kind=0), EDGE),
        (PARENT._replace(kind=SERVER), EDGE),
    ],
    ids=["its own service", "another span", "another trace", "no kind", "a server"],
)
def test_which_parents(shard, parent, edge):
    """Only the span of the parent's id in the same trace, of another service, makes an edge; of whatever kind."""
    shard.commit(parent, CALLEE)
    shard.summarise()
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == edge


@pytest.mark.parametrize(
    ("kind", "edge_kind"), [(CLIENT, EdgeKind.RPC), (PRODUCER, EdgeKind.MESSAGING)]
)
def test_caller_that_came_too_late(shard, kind, edge_kind):
    """A caller that is stored but came too late to pair is found, with its own latency and error."""
    shard.commit(CALLEE)
    shard.summarise()
    shard.commit(PARENT._replace(kind=kind, is_error=True))
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == {("shop", "cart", edge_kind): 1}
    ((_, target),) = shard.edges().items()
    measure = target.total.edges["shop", "cart", edge_kind].measure
    assert (measure.errors, measure.buckets) == (1, {bucket_of(50 * MILLI): 1})


def test_paired(shard):
    """A callee that has paired is not looked up."""
    shard.commit(PARENT._replace(kind=CLIENT), CALLEE)
    shard.summarise()
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == EDGE
    assert shard.traces == []


def test_deleted(shard):
    """Halves are deleted when they are two windows old, not before, and then nothing more is due."""
    shard.commit(PARENT, CALLEE)
    shard.summarise()
    shard.summarise(AFTER)
    shard.summarise(NOON_UNIX_SECONDS + 2 * WINDOW)
    assert len(shard.waiting) == 1
    shard.summarise(NOON_UNIX_SECONDS + 2 * WINDOW + 1)
    assert shard.waiting == []
    assert not read_shard(shard, 0).state.pending


def test_bounded(shard, monkeypatch):
    """A step looks up a bounded number of traces; the next goes on, and each trace is looked up once."""
    monkeypatch.setattr(waiting, "TRACES_MAX", 3)
    made = [
        span for i in range(1, 9) for span in (PARENT._replace(trace=i), CALLEE._replace(trace=i))
    ]
    shard.commit(*made)
    shard.summarise()
    worker = WaitingHalves(shard, 0, AFTER)
    looked_up = []
    while worker.step(read_shard(shard, 0)):
        looked_up.append(len(shard.traces))
    assert looked_up == [3, 6, 8]
    assert len(set(shard.traces)) == 8
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.RPC): 8}


def test_let_go(shard):
    """What could not be checked for three windows is let go, so that what waits stays bounded."""
    shard.commit(PARENT, CALLEE)
    shard.summarise()
    shard.summarise(NOON_UNIX_SECONDS + 3 * WINDOW + 1)
    shard.summarise(NOON_UNIX_SECONDS + 3 * WINDOW + 2)
    assert shard.traces == []
    assert shard.waiting == []


def test_overtaken(shard):
    """A check that a fold overtook changes nothing; the next one finds the edge."""
    shard.commit(PARENT, CALLEE)
    shard.summarise()
    stale = read_shard(shard, 0)
    shard.commit(PARENT._replace(trace=2))
    shard.summarise(NOON_UNIX_SECONDS + 10)
    assert not WaitingHalves(shard, 0, AFTER).step(stale)
    assert shard.calls_by_edge() == {}
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == EDGE

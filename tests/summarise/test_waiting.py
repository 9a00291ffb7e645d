"""Halves that wait: a callee that no caller came for is looked up in its stored trace, soon and in the end."""

from __future__ import annotations

import pytest

from chalicelib import config
from chalicelib.model.edges import EdgeKind
from chalicelib.model.measure import bucket_of
from chalicelib.store.shard import read_shard
from chalicelib.summarise import parents
from chalicelib.summarise.waiting import WaitingHalves
from tests.payloads import CLIENT, INTERNAL, MILLI, NOON_UNIX_SECONDS, PRODUCER, SERVER, Made
from tests.summarise.shard import Shard

WINDOW = config.PENDING_WINDOW_SECONDS
AFTER = NOON_UNIX_SECONDS + WINDOW + 1
"""The first second at which what was folded at noon is checked."""
PARENT = Made(1, 1, "shop", kind=INTERNAL, duration=50 * MILLI)
CALLEE = Made(1, 2, "cart", parent=1, kind=SERVER, duration=MILLI)
EDGE = {("shop", "cart", EdgeKind.PARENT): 1}
SOON = NOON_UNIX_SECONDS + parents.LOOKED_AT_SECONDS


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


@pytest.mark.parametrize("together", [True, False])
def test_a_parent(shard, together):
    """A callee whose parent span is INTERNAL in another service makes an edge: at once, or with the next run."""
    if together:
        shard.commit(PARENT, CALLEE)
    else:
        shard.commit(CALLEE)
        shard.commit(PARENT)
    shard.summarise()
    assert shard.calls_by_edge() == (EDGE if together else {})
    shard.summarise(SOON - 1)
    assert shard.traces == []
    shard.summarise(SOON)
    assert shard.calls_by_edge() == EDGE
    assert len(shard.traces) == (0 if together else 1)
    ((_, target),) = shard.edges().items()
    # The parent stands for no call: the latency is the callee's own.
    edge = target.total.edges["shop", "cart", EdgeKind.PARENT]
    assert edge.measure.buckets == {bucket_of(MILLI): 1}


def test_a_parent_that_comes_late(shard):
    """A callee whose parent was not stored when it was looked up makes an edge when its window has ended."""
    shard.commit(CALLEE)
    shard.summarise()
    shard.summarise(SOON)
    shard.commit(PARENT)
    shard.summarise(AFTER - 1)
    assert shard.calls_by_edge() == {}
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == EDGE
    assert len(shard.traces) == 2


def test_a_long_parent_that_comes_late(shard):
    """A callee's parent that lasted longer than until the look makes an edge when it comes."""
    shard.commit(CALLEE)
    shard.summarise()
    shard.summarise(SOON)
    shard.commit(PARENT._replace(duration=60_000 * MILLI))
    shard.summarise(SOON + 60)
    assert shard.calls_by_edge() == EDGE


@pytest.mark.parametrize("seconds_between", [0, 60])
def test_only_once(shard, seconds_between):
    """A callee whose parent is found is looked up once, also if its message's copy, or another fold, came between."""
    shard.commit(PARENT)
    shard.commit(CALLEE)
    shard.summarise()
    shard.commit(CALLEE, Made(3, 1))
    shard.summarise(NOON_UNIX_SECONDS + seconds_between)
    for later in (0, 1, 60, 61, WINDOW, WINDOW + 61, 5 * WINDOW):
        shard.summarise(SOON + later)
    assert shard.calls_by_edge() == EDGE
    assert len(shard.traces) == 1


def test_where_nothing_is_found(shard):
    """A callee whose parent never comes is looked up twice in all, and no more."""
    shard.commit(CALLEE)
    shard.summarise()
    for later in (0, 60, 120, WINDOW, WINDOW + 60, 2 * WINDOW, 5 * WINDOW):
        shard.summarise(SOON + later)
    assert shard.calls_by_edge() == {}
    assert len(shard.traces) == 2


@pytest.mark.parametrize("when", [SOON, AFTER])
@pytest.mark.parametrize(
    ("parent", "edge"),
    [
        (PARENT._replace(service="cart"), {}),
        (PARENT._replace(span=9), {}),
        (PARENT._replace(trace=2), {}),
        (PARENT._replace(kind=0), EDGE),
        (PARENT._replace(kind=SERVER, flags=0x100), {("shop", "cart", EdgeKind.RPC): 1}),
        (
            PARENT._replace(kind=CLIENT, attributes=(("db.system", "x"),)),
            {("shop", "cart", EdgeKind.RPC): 1, ("shop", "x", EdgeKind.DATABASE): 1},
        ),
    ],
    ids=["its own service", "another span", "another trace", "no kind", "a server", "a database"],
)
def test_which_parents(shard, parent, edge, when):
    """Only the span of the parent's id in the same trace, of another service, makes an edge; of whatever kind."""
    shard.commit(parent)
    shard.commit(CALLEE)
    shard.summarise()
    shard.summarise(when)
    assert shard.calls_by_edge() == edge


@pytest.mark.parametrize("child", [0, INTERNAL])
@pytest.mark.parametrize("is_local", [True, False])
def test_a_child_without_kind(shard, child, is_local):
    """A span without kind below another service's is found soon; one below a span of its own service is no call."""
    shard.commit(PARENT)
    shard.commit(CALLEE._replace(kind=child))
    if is_local:
        shard.commit(PARENT._replace(service="cart", parent=7))
    shard.summarise()
    shard.summarise(SOON)
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == ({} if is_local else EDGE)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("peer", [(), (("peer.service", "carts"),)])
def test_a_shared_id_without_its_flag(shard, order, peer):
    """A server that has its client's id is one call with it, whatever came first and whatever the client knew."""
    spans = [
        Made(1, 5, "shop", kind=SERVER, flags=0x100),
        Made(1, 6, "shop", parent=5, kind=CLIENT, attributes=peer, duration=9 * MILLI),
        Made(1, 6, "cart", parent=5, kind=SERVER, duration=MILLI),
    ]
    for seconds, place in enumerate(order):
        shard.commit(spans[place])
        shard.summarise(NOON_UNIX_SECONDS + 50 * seconds)
    shard.summarise(NOON_UNIX_SECONDS + 200)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.RPC): 1}
    shard.summarise(AFTER + 300)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.RPC): 1}


@pytest.mark.parametrize(
    ("kind", "edge_kind"), [(CLIENT, EdgeKind.RPC), (PRODUCER, EdgeKind.MESSAGING)]
)
def test_caller_that_came_too_late(shard, kind, edge_kind):
    """A caller that is stored but came too late to pair is found, with its own latency and error."""
    shard.commit(CALLEE)
    shard.summarise()
    shard.summarise(SOON)
    shard.commit(PARENT._replace(kind=kind, is_error=True))
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == {("shop", "cart", edge_kind): 1}
    ((_, target),) = shard.edges().items()
    measure = target.total.edges["shop", "cart", edge_kind].measure
    assert (measure.errors, measure.buckets) == (1, {bucket_of(50 * MILLI): 1})


def test_a_paired_callee_is_not_looked_up(shard):
    """A callee that has paired is not looked up."""
    shard.commit(PARENT._replace(kind=CLIENT), CALLEE)
    shard.summarise()
    shard.summarise(AFTER)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.RPC): 1}
    assert shard.traces == []


def test_halves_are_deleted_when_two_windows_old(shard):
    """Halves are deleted when they are two windows old, not before, and then nothing more is due."""
    shard.commit(PARENT, CALLEE)
    shard.summarise()
    shard.summarise(AFTER)
    shard.summarise(NOON_UNIX_SECONDS + 2 * WINDOW)
    assert len(shard.waiting) == 1
    shard.summarise(NOON_UNIX_SECONDS + 2 * WINDOW + 1)
    assert shard.waiting == []
    assert not read_shard(shard, 0).state.pending


@pytest.mark.parametrize("when", [SOON, AFTER])
def test_a_look_up_is_bounded_and_each_trace_looked_up_once(shard, monkeypatch, when):
    """A step looks up a bounded number of traces; the next goes on, and each trace is looked up once."""
    for name in ("parents", "waiting"):
        monkeypatch.setattr(f"chalicelib.summarise.{name}.TRACES_MAX", 3)
    traces = range(1, 9)
    shard.commit(*(CALLEE._replace(trace=i) for i in traces))
    shard.commit(*(PARENT._replace(trace=i) for i in traces))
    shard.summarise()
    worker = WaitingHalves(shard, 0, when)
    looked_up = []
    while worker.step(read_shard(shard, 0)):
        looked_up.append(len(shard.traces))
        if len(shard.traces) == 8:
            break
    assert looked_up == [3, 6, 8]
    assert len(set(shard.traces)) == 8
    shard.summarise(when)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.PARENT): 8}


def test_a_caller_that_comes_between_steps(shard, monkeypatch):
    """A look that was begun skips no trace because another has met its caller meanwhile."""
    for name in ("parents", "waiting"):
        monkeypatch.setattr(f"chalicelib.summarise.{name}.TRACES_MAX", 3)
    traces = range(1, 9)
    shard.commit(*(CALLEE._replace(trace=i) for i in traces))
    shard.commit(*(PARENT._replace(trace=i) for i in traces))
    shard.summarise()
    WaitingHalves(shard, 0, SOON).step(read_shard(shard, 0))
    shard.commit(*(PARENT._replace(trace=i, kind=CLIENT, start=PARENT.start + 1) for i in (1, 2)))
    shard.summarise(SOON)
    assert len(set(shard.traces)) == 8
    assert sum(shard.calls_by_edge().values()) == 8


def test_let_go(shard):
    """What could not be checked for three windows is let go, so that what waits stays bounded."""
    shard.commit(PARENT)
    shard.commit(CALLEE)
    shard.summarise()
    shard.summarise(NOON_UNIX_SECONDS + 3 * WINDOW + 1)
    shard.summarise(NOON_UNIX_SECONDS + 3 * WINDOW + 2)
    assert shard.traces == []
    assert shard.waiting == []


@pytest.mark.parametrize("when", [SOON, AFTER])
def test_an_overtaken_look_up_changes_nothing(shard, when):
    """A look-up that a fold overtook changes nothing; the next one finds the edge."""
    shard.commit(PARENT)
    shard.commit(CALLEE)
    shard.summarise()
    stale = read_shard(shard, 0)
    shard.commit(PARENT._replace(trace=2, kind=CLIENT))
    shard.summarise(NOON_UNIX_SECONDS + 10)
    assert not WaitingHalves(shard, 0, when).step(stale)
    assert shard.calls_by_edge() == {}
    shard.summarise(when)
    assert shard.calls_by_edge() == EDGE

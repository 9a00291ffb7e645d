"""Callees that nobody has called: how soon their parents are found, and what that costs."""

from __future__ import annotations

import sys

import pytest

from chalicelib import config
from chalicelib.model.edges import EdgeKind
from chalicelib.query.edges import edges
from chalicelib.query.parameters import Range
from chalicelib.store import traces
from chalicelib.store.shard import read_shard
from chalicelib.summarise import parents
from chalicelib.summarise.job import summarise_shards
from chalicelib.summarise.waiting import WaitingHalves
from tests.payloads import (
    CLIENT,
    INTERNAL,
    NOON_NANO,
    NOON_UNIX_SECONDS,
    SERVER,
    Made,
    trace_id,
)
from tests.summarise.shard import Shard

GATHERED_SECONDS = 5
"""As the consumer gathers messages."""
RUN_SECONDS = 10
"""What a run may take, or begin late."""
HOUR_NANO = 3_600 * 10**9
ABOVE = Made(1, 1, "shop", kind=INTERNAL)
BELOW = Made(1, 2, "cart", parent=1)
KINDS = [(INTERNAL, SERVER), (SERVER, INTERNAL), (0, 0), (SERVER, CLIENT), (SERVER, SERVER)]


class Counting(Shard):
    """Counts transactions and look-ups of traces."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions = 0
        self.traces: list[object] = []

    @property
    def looks(self) -> int:
        return len(self.traces)

    def transact(self, actions):
        super().transact(actions)
        self.transactions += 1

    def query(self, table, partition, *arguments, **more):
        if table == config.SPANS_TABLE:
            self.traces.append(partition)
        return super().query(table, partition, *arguments, **more)


@pytest.fixture
def shard(monkeypatch):
    monkeypatch.setattr(config, "SHARDS_READ", 1)
    return Counting()


def calls_after(phase: int, commits: dict[int, list[Made]], seconds: int) -> set[tuple[str, str]]:
    """The edges of an answer after so many seconds, where the schedule runs each minute with this phase."""
    shard = Shard()
    for now in range(seconds + 1):
        for made in commits.get(now, ()):
            shard.commit(made, at=NOON_UNIX_SECONDS + now)
        if now % 60 == phase:
            shard.summarise(NOON_UNIX_SECONDS + now)
    asked = Range(NOON_NANO - HOUR_NANO, NOON_NANO + HOUR_NANO)
    found = edges(shard, asked, NOON_UNIX_SECONDS + seconds).edges.edges
    return {key[:2] for key, edge in found.items() if edge.measure.calls}


@pytest.mark.parametrize(("above", "below"), KINDS)
@pytest.mark.parametrize("is_parent_first", [True, False])
def test_within_two_minutes(monkeypatch, above, below, is_parent_first):
    """Two spans that arrive together and are committed apart are a call two minutes later, at any phase of the runs."""
    monkeypatch.setattr(config, "SHARDS_READ", 1)
    first, last = (ABOVE, BELOW) if is_parent_first else (BELOW, ABOVE)
    spans = [each._replace(kind=above if each is ABOVE else below) for each in (first, last)]
    commits: dict[int, list[Made]] = {}
    commits.setdefault(0, []).append(spans[0])
    commits.setdefault(GATHERED_SECONDS, []).append(spans[1])
    late = [
        phase
        for phase in range(60)
        if calls_after(phase, commits, 120 - RUN_SECONDS) != {("shop", "cart")}
    ]
    assert late == []


def test_looked_at_by_its_own_fold(shard):
    """What was committed long before its fold is looked at by that, in the same transaction."""
    shard.commit(BELOW)
    shard.commit(ABOVE)
    shard.summarise(NOON_UNIX_SECONDS + parents.EARLY_SECONDS + 1)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.PARENT): 1}
    assert (shard.transactions, shard.looks) == (2 + 1, 1)


def test_looked_at_by_the_next_fold(shard):
    """Where spans come each minute, a look writes nothing of its own: the next fold does it in its transaction."""
    for minute in range(5):
        trace, now = minute + 1, NOON_UNIX_SECONDS + 60 * minute
        shard.commit(BELOW._replace(trace=trace), at=now)
        shard.commit(ABOVE._replace(trace=trace), at=now)
        before = shard.transactions
        shard.summarise(now)
        assert shard.transactions == before + 1
        assert shard.looks == minute
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.PARENT): 4}


def test_more_than_a_step_looks_up(shard, monkeypatch):
    """What a fold's step cannot look up is looked up by the same run's next steps, each trace once."""
    monkeypatch.setattr(parents, "TRACES_MAX", 3)
    for trace in range(1, 9):
        shard.commit(BELOW._replace(trace=trace))
        shard.commit(ABOVE._replace(trace=trace))
    shard.summarise(NOON_UNIX_SECONDS + 50)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.PARENT): 8}
    assert len(set(shard.traces)) == shard.looks == 8
    shard.summarise(NOON_UNIX_SECONDS + 110)
    assert shard.looks == 8


MANY = 2_000


def many(count: int) -> list[list[Made]]:
    """Callees, each in a trace of its own, and the spans above them, of every kind that makes no half by itself."""
    kinds = (INTERNAL, SERVER, 0)
    return [
        [BELOW._replace(trace=trace) for trace in range(1, count + 1)],
        [ABOVE._replace(trace=trace, kind=kinds[trace % 3]) for trace in range(1, count + 1)],
    ]


@pytest.mark.parametrize("runs", [(50, 115), (39, 104), (5, 75), (59, 114)])
def test_many_within_two_minutes(shard, runs):
    """Thousands of callees of one item are calls before two minutes are over, also if every other run begins late."""
    for made in many(MANY):
        shard.commit(*made)
    for seconds in runs:
        if seconds <= 120 - RUN_SECONDS:
            shard.summarise(NOON_UNIX_SECONDS + seconds)
    assert sum(shard.calls_by_edge().values()) == MANY
    assert len(set(shard.traces)) == MANY
    shard.summarise(NOON_UNIX_SECONDS + runs[-1] + 60)
    assert sum(shard.calls_by_edge().values()) == MANY


def calls_made(count: int) -> int:
    """Calls of functions by a run that looks for the parents of so many callees of one item."""
    shard = Shard()
    for made in many(count):
        shard.commit(*made)
    shard.summarise()
    calls = 0

    def profile(_, event, __):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        shard.summarise(NOON_UNIX_SECONDS + 60)
    finally:
        sys.setprofile(None)
    assert sum(shard.calls_by_edge().values()) == count
    return calls


def test_work_grows_as_callees_do(monkeypatch):
    """Four times as many callees of one item take little more than four times the work, in four times the steps."""
    monkeypatch.setattr(traces, "THREADS", 1)
    monkeypatch.setattr(parents, "TRACES_MAX", 50)
    assert calls_made(1_000) < 1.25 * 4 * calls_made(250)


def test_looked_at_before_more_is_folded(shard):
    """What is due is looked at by a run's first step, whatever there is to be folded, and however much."""
    shard.commit(BELOW)
    shard.commit(ABOVE)
    shard.summarise()
    shard.commit(*(Made(2, 10 + i, f"service {i}", kind=INTERNAL, flags=0x101) for i in range(200)))
    steps = [True, False]
    summarise_shards(shard, [0], NOON_UNIX_SECONDS + 60, lambda: steps.pop(0))
    assert shard.looks == 1
    assert shard.calls_by_edge() == {} or shard.segments
    shard.summarise(NOON_UNIX_SECONDS + 60)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.PARENT): 1}
    assert shard.looks == 1


def test_looked_at_before_others_are_checked(shard):
    """What is due for its first look comes before what is looked up when its window ends."""
    window = config.PENDING_WINDOW_SECONDS
    shard.commit(BELOW._replace(trace=9))
    shard.summarise()
    shard.summarise(NOON_UNIX_SECONDS + 60)
    for made in (BELOW, ABOVE):
        shard.commit(made, at=NOON_UNIX_SECONDS + window)
    shard.summarise(NOON_UNIX_SECONDS + window)
    before = len(shard.traces)
    WaitingHalves(shard, 0, NOON_UNIX_SECONDS + window + 60).step(read_shard(shard, 0))
    assert shard.traces[before:] == [trace_id(1)]


def test_a_large_trace_ends_a_step(shard, monkeypatch):
    """A step ends with the trace that brings more spans than it may read: the next steps of the run go on."""
    monkeypatch.setattr(parents, "SPANS_MAX", 2)
    for made in many(5):
        shard.commit(*made)
    shard.summarise()
    worker = WaitingHalves(shard, 0, NOON_UNIX_SECONDS + 60)
    monkeypatch.setattr(traces, "THREADS", 1)
    worker.step(read_shard(shard, 0))
    assert shard.looks == 1
    shard.summarise(NOON_UNIX_SECONDS + 60)
    assert sum(shard.calls_by_edge().values()) == shard.looks == 5


def test_a_cursor_is_of_its_item_alone(shard, monkeypatch):
    """An item that grew too old before it was looked at to its end takes no trace of a later one for done."""
    monkeypatch.setattr(parents, "TRACES_MAX", 1)
    window = config.PENDING_WINDOW_SECONDS
    shard.commit(*(BELOW._replace(trace=trace) for trace in (7, 8, 9)))
    shard.summarise()
    for made in (BELOW, ABOVE):
        shard.commit(made, at=NOON_UNIX_SECONDS + window)
    steps = [True, False]
    summarise_shards(shard, [0], NOON_UNIX_SECONDS + window, lambda: steps.pop(0))
    assert shard.traces == [trace_id(7)]
    shard.summarise(NOON_UNIX_SECONDS + window + 60)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.PARENT): 1}

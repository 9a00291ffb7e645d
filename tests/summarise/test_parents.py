"""Callees that nobody has called: how soon their parents are found, and what that costs."""

from __future__ import annotations

import pytest

from chalicelib import config
from chalicelib.model.edges import EdgeKind
from chalicelib.query.edges import edges
from chalicelib.query.parameters import Range
from chalicelib.summarise import parents
from tests.payloads import CLIENT, INTERNAL, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made
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

    transactions = looks = 0

    def transact(self, actions):
        super().transact(actions)
        self.transactions += 1

    def query(self, table, *arguments, **more):
        self.looks += table == config.SPANS_TABLE
        return super().query(table, *arguments, **more)


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
    """What a fold cannot look up is looked up by the run after it, each trace at most twice."""
    monkeypatch.setattr(parents, "TRACES_MAX", 3)
    for trace in range(1, 9):
        shard.commit(BELOW._replace(trace=trace))
        shard.commit(ABOVE._replace(trace=trace))
    shard.summarise(NOON_UNIX_SECONDS + 50)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.PARENT): 3}
    shard.summarise(NOON_UNIX_SECONDS + 110)
    assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.PARENT): 8}
    assert shard.looks == 8

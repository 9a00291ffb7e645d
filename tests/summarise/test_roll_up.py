"""The roll-up: each level's total is right at its time, and late data reaches every level exactly once."""

from __future__ import annotations

import pytest

from chalicelib import config
from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.measure import merged
from chalicelib.model.statistics import Statistics
from chalicelib.store.layout import Level
from chalicelib.store.shard import read_shard
from chalicelib.summarise import roll_up
from chalicelib.summarise.roll_up import RollUp
from tests.payloads import CLIENT, NOON_NANO, NOON_UNIX_SECONDS, Made
from tests.summarise.shard import NOON_DAY, NOON_HOUR, Shard, calls

HOUR_OVER = (NOON_HOUR + 1) * 3_600 + config.ROLL_UP_DELAY_SECONDS
DAY_OVER = (NOON_DAY + 1) * 86_400 + config.ROLL_UP_DELAY_SECONDS
MINUTE, HOUR, DAY = Level.MINUTE, Level.HOUR, Level.DAY
NAMED = (("server.address", "stock.internal"),)
EXTERNAL = {("shop", "stock.internal", int(EdgeKind.EXTERNAL))}


def made(number: int, minute: int, **more: object) -> Made:
    """A span so many minutes after noon."""
    start = NOON_NANO + minute * 60 * 10**9
    return Made(1, number, start=start)._replace(**more)  # type: ignore[arg-type]


@pytest.fixture
def shard():
    return Shard()


@pytest.fixture
def filled(shard):
    """Three spans in the hour of noon, one of them a call, and one span three hours later; folded."""
    shard.commit(made(1, 0), made(2, 0, kind=CLIENT, attributes=NAMED, parent=1))
    shard.commit(made(3, 59), made(4, 180))
    shard.summarise()
    return shard


def levels(shard: Shard) -> list[dict[int, int]]:
    return [calls(shard.statistics(level=level)) for level in (MINUTE, HOUR, DAY)]


class TestTimes:
    def test_not_before(self, filled):
        """An hour is not rolled up before it is over, and some minutes more."""
        filled.summarise(HOUR_OVER - 1)
        assert levels(filled)[1:] == [{}, {}]

    def test_an_hour_that_is_over_has_the_sum_of_its_minutes(self, filled):
        """An hour that is over has the sum of its minutes, and the day nothing yet."""
        filled.summarise(HOUR_OVER)
        assert levels(filled)[1:] == [{NOON_HOUR: 2}, {}]

    def test_a_day_that_is_over_has_the_sum_of_its_hours(self, filled):
        """A day that is over has the sum of its hours; minutes and hours keep theirs."""
        before = levels(filled)[0]
        filled.summarise(DAY_OVER - 1)
        assert levels(filled)[2] == {}
        filled.summarise(DAY_OVER)
        assert levels(filled) == [before, {NOON_HOUR: 2, NOON_HOUR + 3: 1}, {NOON_DAY: 3}]

    def test_nothing_left(self, filled):
        """Afterwards nothing is pending, dirty or due, and a run is one query again."""
        filled.summarise(DAY_OVER)
        state = read_shard(filled, 0).state
        assert [*state.dirty_hours, *state.dirty_days] == []
        assert {(line.hours_dirty, line.day_dirty) for line in filled.catalogue().values()} == {
            (0, False)
        }
        for level in (MINUTE, HOUR):
            assert all(t.pending == Statistics() for t in filled.statistics(level=level).values())
            assert all(t.pending == Edges() for t in filled.edges(level).values())
        filled.summarise(DAY_OVER + 9)
        filled.calls.clear()
        filled.summarise(DAY_OVER + 9)
        assert filled.calls == ["query"]


class TestFigures:
    def test_a_day_has_the_merged_measures_of_its_minutes(self, filled):
        """A day's measures are the merged ones of its minutes, name by name."""
        filled.summarise(DAY_OVER)
        minutes = [target.total for target in filled.statistics().values()]
        (day,) = (target.total for target in filled.statistics(level=DAY).values())
        assert day.entry == merged(minute.entry for minute in minutes)
        for key, measure in day.series.items():
            assert measure == merged(m.series[key] for m in minutes if key in m.series)

    def test_edges_roll_up_with_their_exemplars(self, filled):
        """Edges roll up as statistics do, exemplars included."""
        filled.summarise(DAY_OVER)
        minute, hour, day = (filled.edges(level) for level in (MINUTE, HOUR, DAY))
        ((_, of_minute),) = minute.items()
        assert set(of_minute.total.edges) == EXTERNAL
        assert hour[NOON_HOUR].total == day[NOON_DAY].total == of_minute.total

    def test_a_name_that_is_taken_away(self, filled):
        """A call that leaves its virtual name leaves it at every level."""
        callee = made(5, 1, parent=2, service="stock")
        filled.summarise(NOON_UNIX_SECONDS)
        # Within the window of its caller, but after the hour was rolled up.
        filled.summarise(HOUR_OVER)
        filled.commit(callee)
        filled.summarise(NOON_UNIX_SECONDS + 60)
        filled.summarise(DAY_OVER)
        for level in (MINUTE, HOUR, DAY):
            assert filled.calls_by_edge(level) == {("shop", "stock", EdgeKind.RPC): 1}


class TestLate:
    @pytest.mark.parametrize("times", [[HOUR_OVER], [DAY_OVER], [HOUR_OVER, DAY_OVER]])
    def test_every_level_once(self, filled, times):
        """Late spans reach hour and day exactly once, whatever was rolled up before."""
        for number, time in enumerate(times):
            filled.summarise(time)
            filled.commit(made(10 + number, 0), made(20 + number, 30))
        for _ in range(3):
            filled.summarise(DAY_OVER + 60)
        late = len(times)
        assert levels(filled)[1:] == [
            {NOON_HOUR: 2 + 2 * late, NOON_HOUR + 3: 1},
            {NOON_DAY: 3 + 2 * late},
        ]

    def test_pending_is_what_is_above_missing(self, filled):
        """Total is everything, pending only what the level above has not got."""
        filled.summarise(DAY_OVER)
        filled.commit(made(10, 0))
        filled.summarise(HOUR_OVER - 1)
        target = filled.statistics()[NOON_UNIX_SECONDS // 60]
        assert (target.total.entry.calls, target.pending.entry.calls) == (2, 1)

    def test_rolling_up_again_changes_nothing(self, filled):
        """Run again and again, nothing more happens."""
        filled.summarise(DAY_OVER)
        before = levels(filled)
        for later in range(4):
            filled.summarise(DAY_OVER + later * 60)
        assert levels(filled) == before


class TestSteps:
    def test_a_name_at_a_time(self, shard):
        """Many services are rolled up in a step each, all of them in the end."""
        shard.commit(*(made(i, 0, service=f"s{i}") for i in range(1, 12)))
        shard.summarise()
        assert shard.summarise(DAY_OVER) >= 22
        for i in range(1, 12):
            assert calls(shard.statistics(f"s{i}", DAY)) == {NOON_DAY: 1}

    def test_large_minutes(self, shard, monkeypatch):
        """Minutes that are together too large for a transaction move in several, each once."""
        monkeypatch.setattr(roll_up, "_BYTES_MAX", 1_000)
        shard.commit(*(made(i + 1, i, name=f"{i:0250d}") for i in range(30)))
        shard.summarise()
        shard.summarise(DAY_OVER)
        assert levels(shard)[1:] == [{NOON_HOUR: 30}, {NOON_DAY: 30}]

    def test_an_overtaken_roll_up_changes_nothing(self, filled):
        """A roll-up that a fold overtook changes nothing."""
        stale = read_shard(filled, 0)
        filled.commit(made(10, 0))
        filled.summarise()
        before = dict(filled.items)
        RollUp(filled, 0, HOUR_OVER).step(stale)
        assert filled.items == before

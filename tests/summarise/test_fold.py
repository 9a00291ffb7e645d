"""The fold: what commits added is in the targets once, by steps that each fit a transaction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.model.edges import EdgeKind
from chalicelib.store import layout
from chalicelib.store.items import Put
from chalicelib.store.shard import read_shard
from chalicelib.summarise import fold as fold_module
from chalicelib.summarise.fold import ShardFold, with_dirty_hours
from chalicelib.summarise.job import in_turn, summarise_shards
from tests.payloads import CLIENT, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made
from tests.summarise.shard import NOON_DAY, NOON_HOUR, NOON_MINUTE, Shard, calls

MINUTE = 60 * 10**9


def at_minute(i: int, **more: object) -> Made:
    return Made(1, i + 1, start=NOON_NANO - i * MINUTE)._replace(**more)  # type: ignore[arg-type]


class Watched(Shard):
    """Notes how many actions each transaction has."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def transact(self, actions):
        self.sizes.append(len(actions))
        super().transact(actions)


@pytest.fixture
def shard():
    return Watched()


class TestTargets:
    def test_two_services(self, shard):
        """Each service's minutes have its own spans."""
        shard.commit(at_minute(0), at_minute(0, span=2), at_minute(1, service="cart"))
        shard.commit(at_minute(0, span=3), at_minute(0, service="cart", trace=2))
        shard.summarise()
        assert calls(shard.statistics()) == {NOON_MINUTE: 3}
        assert calls(shard.statistics("cart")) == {NOON_MINUTE - 1: 1, NOON_MINUTE: 1}

    def test_one_by_one(self, shard):
        """Folded after each commit or once at the end, the targets are the same bytes."""
        other = Watched()
        for i in range(5):
            for each in (shard, other):
                each.commit(at_minute(i % 2, span=i + 1, kind=CLIENT if i == 3 else SERVER))
            shard.summarise()
        other.summarise()

        def targets(of: Shard) -> dict[object, object]:
            return {
                key: item["v"]
                for key, item in of.items.items()
                if key[0] == config.STATISTICS_TABLE and str(key[1])[0] in "sec"
            }

        assert targets(shard) == targets(other)

    def test_written_once(self, shard, monkeypatch):
        """Of more services than fit a step each is written once, however many segments have something of it."""
        monkeypatch.setattr(fold_module, "TARGETS_MAX", 4)
        for commit in range(3):
            made = [
                at_minute(0, span=10 * commit + i + 1, service=f"service {i}")
                for i in range(10)
                if i != commit
            ]
            shard.commit(*made)
        shard.summarise()
        for i in range(10):
            ((number, target),) = shard.statistics(f"service {i}").items()
            assert target.total.entry.calls == 3 - (i < 3)
            key = layout.statistics_partition(f"service {i}"), f"m|{number:012d}"
            assert shard.items[config.STATISTICS_TABLE, *key]["n"] == 1

    def test_halves_of_different_folds_make_one_edge(self, shard):
        """Two services' halves of one call, in different commits and folds, are one edge."""
        shard.commit(at_minute(0, span=1, kind=CLIENT))
        shard.summarise()
        assert shard.calls_by_edge() == {}
        shard.commit(at_minute(0, span=2, parent=1, service="cart"))
        shard.summarise()
        assert shard.calls_by_edge() == {("shop", "cart", EdgeKind.RPC): 1}

    def test_a_minute_target_expires_after_its_last_write(self, shard):
        """A minute's target expires a retention after it was last written."""
        shard.commit(at_minute(0))
        shard.summarise()
        expiries = {item["x"] for key, item in shard.items.items() if key[1] == "s|shop"}
        assert expiries == {NOON_UNIX_SECONDS + config.MINUTE_RETENTION_SECONDS}


class TestBounds:
    def test_many_minutes(self, shard):
        """More minutes than a transaction has actions are folded in several steps, each within the limits."""
        shard.commit(*(at_minute(i) for i in range(250)))
        shard.sizes.clear()
        steps = shard.summarise()
        assert steps >= 4
        assert max(shard.sizes) <= 100
        assert calls(shard.statistics()) == {NOON_MINUTE - i: 1 for i in range(250)}

    def test_halves_over_many_minutes(self, shard):
        """Halves of one entry whose calls lie in more minutes than fit a step become a segment again; none is lost."""
        attributes = (("server.address", "stock.internal"),)
        shard.commit(*(at_minute(i, kind=CLIENT, attributes=attributes) for i in range(200)))
        shard.sizes.clear()
        shard.summarise()
        assert max(shard.sizes) <= 100
        assert shard.calls_by_edge() == {("shop", "stock.internal", EdgeKind.EXTERNAL): 200}
        assert len(shard.edges()) == 200
        # Their halves wait all the same: callees that come later take the calls.
        shard.commit(
            *(at_minute(i, service="stock", parent=i + 1, span=1_000 + i) for i in range(200))
        )
        shard.summarise()
        assert shard.calls_by_edge() == {("shop", "stock", EdgeKind.RPC): 200}

    def test_a_large_step_takes_fewer_entries(self, shard, monkeypatch):
        """A step whose transaction would be too large takes fewer entries."""
        monkeypatch.setattr(fold_module, "STEP_BYTES_MAX", 3_000)
        shard.commit(*(at_minute(i, name=f"{i:0250d}") for i in range(40)))
        shard.sizes.clear()
        shard.summarise()
        assert len(shard.sizes) > 1
        assert calls(shard.statistics()) == {NOON_MINUTE - i: 1 for i in range(40)}

    def test_no_time(self, shard):
        """Without time nothing is read or done; the next run goes on where this one ended."""
        shard.commit(*(at_minute(i) for i in range(250)))
        shard.calls.clear()
        assert summarise_shards(shard, [0], NOON_UNIX_SECONDS, lambda: False) == 0
        assert shard.calls == []
        answers = [True, True, False]
        assert summarise_shards(shard, [0], NOON_UNIX_SECONDS, lambda: answers.pop(0)) == 2
        assert 0 < len(shard.statistics()) < 250
        shard.summarise()
        assert calls(shard.statistics()) == {NOON_MINUTE - i: 1 for i in range(250)}


class TestNothingToDo:
    @pytest.mark.parametrize("shards", [1, 3])
    def test_never_any(self, shard, shards):
        """Where nothing ever arrived a run is one query a shard."""
        assert summarise_shards(shard, range(shards), NOON_UNIX_SECONDS) == 0
        assert shard.calls == ["query"] * shards

    def test_nothing_new(self, shard):
        """Where nothing has arrived since, and nothing is due, a run is one query."""
        shard.commit(at_minute(0), at_minute(0, span=2, kind=CLIENT))
        shard.summarise()
        shard.summarise()
        shard.calls.clear()
        shard.summarise()
        assert shard.calls == ["query"]


class TestSegments:
    def test_deleted_and_forgotten(self, shard):
        """Segments are deleted after they are folded, and the fold-state forgets them only with the next fold."""
        shard.commit(at_minute(0))
        shard.commit(at_minute(1))
        segments = shard.segments
        assert len(segments) == 2
        shard.summarise()
        assert shard.segments == []
        state = read_shard(shard, 0).state
        assert [each.segment for each in state.progress] == segments
        shard.commit(at_minute(2))
        (new,) = shard.segments
        shard.summarise()
        assert [each.segment for each in read_shard(shard, 0).state.progress] == [new]

    def test_not_deleted(self, shard):
        """A fold that died before it deleted leaves segments that count no second time, and are deleted later."""
        shard.commit(at_minute(0))
        ShardFold(shard, 0, NOON_UNIX_SECONDS).step(read_shard(shard, 0))
        assert len(shard.segments) == 1
        shard.commit(at_minute(0, span=9))
        shard.summarise()
        assert calls(shard.statistics()) == {NOON_MINUTE: 2}
        assert shard.segments == []

    def test_an_overtaken_fold_changes_nothing(self, shard):
        """A fold that another one overtook changes nothing."""
        shard.commit(at_minute(0))
        stale = read_shard(shard, 0)
        shard.summarise()
        before = dict(shard.items)
        ShardFold(shard, 0, NOON_UNIX_SECONDS).step(stale)
        assert shard.items == before

    def test_each_transaction_is_conditioned_on_the_version_read(self, shard):
        """Each transaction has the fold-state on the condition of the version that was read."""
        conditions = []
        transact = shard.transact

        def note(actions):
            conditions.append(
                [
                    (action.condition, action.values)
                    for action in actions
                    if isinstance(action, Put) and action.item["s"] == layout.FOLD_STATE_KEY
                ]
            )
            transact(actions)

        shard.transact = note
        for i in range(3):
            Shard.commit(shard, at_minute(i))
            shard.summarise()
        assert [each for each in conditions if each] == [
            [("attribute_not_exists(p)", None)],
            [("n = :n", {":n": 1})],
            [("n = :n", {":n": 2})],
        ]


class TestCatalogue:
    def test_the_catalogue_has_the_hours_of_every_service(self, shard):
        """The day's catalogue has the hours of every service and of the edges, and that they are to be rolled up."""
        shard.commit(
            at_minute(0, kind=CLIENT, attributes=(("server.address", "a"),)),
            at_minute(1, service="cart"),
        )
        shard.summarise()
        noon, before = 1 << NOON_HOUR % 24, 1 << (NOON_HOUR - 1) % 24
        assert shard.catalogue() == {
            "": (noon, noon, False),
            "shop": (noon, noon, False),
            "cart": (before, before, False),
        }
        assert list(read_shard(shard, 0).state.dirty_hours) == [NOON_HOUR - 1, NOON_HOUR]

    def test_an_unchanged_catalogue_is_not_written_again(self, shard):
        """A catalogue that already says so is not written again."""
        shard.commit(at_minute(0))
        shard.summarise()
        partition = layout.catalogue_partition(0)
        key = (config.STATISTICS_TABLE, partition, layout.day_sort_key(NOON_DAY))
        version = shard.items[key]["n"]
        shard.commit(at_minute(0, span=2))
        shard.summarise()
        assert shard.items[key]["n"] == version

    def test_with_dirty_hours(self):
        """Hours are added to what is there; those of other days are not this catalogue's."""
        first = with_dirty_hours({}, 10, [("a", 240), ("b", 263), ("a", 264), ("b", 239)])
        assert first == {"a": (1, 1, False), "b": (1 << 23, 1 << 23, False)}
        cleaned = {
            name: line._replace(hours_dirty=0, day_dirty=True) for name, line in first.items()
        }
        assert with_dirty_hours(cleaned, 10, [("a", 241)]) == {
            "a": (3, 2, True),
            "b": (1 << 23, 0, True),
        }


@given(st.integers(1, 50), st.integers(0, 10**10))
def test_shards_take_turns(shards, now):
    """Each run folds every shard, and the next minute's begins with the following one: none waits behind all others."""
    order = in_turn(shards, now)
    assert sorted(order) == list(range(shards))
    assert in_turn(shards, now + 60)[0] == (order[0] + 1) % shards

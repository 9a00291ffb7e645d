"""What no sane sender sends: any time at all, random clocks, one id for everything. Work stays bounded, sums exact."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.model.edges import EdgeKind
from chalicelib.model.names import OTHER_SERVICES
from chalicelib.model.statistics import above_cap
from chalicelib.native.render import statistics_json
from chalicelib.query.parameters import Range, Search
from chalicelib.query.search import search_traces
from chalicelib.query.services import hours_of_services, services_warnings
from chalicelib.query.statistics import statistics
from chalicelib.query.trace import trace_by_id, trace_page
from chalicelib.store import targets
from chalicelib.store.layout import Level
from chalicelib.store.shard import read_shard
from chalicelib.store.targets import EDGES_NAME
from chalicelib.summarise import fold
from tests.payloads import INTERNAL, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made, trace_id
from tests.query.committed import seconds_range
from tests.summarise.shard import NOON_DAY, Shard, calls

HOUR_NANO = 3_600 * 10**9
TIMES_NANO = (0, 1, HOUR_NANO, 2**63 - 1, 2**63, 2**64 - 1)
"""1970 as most senders have it by mistake, 2262 where signed nanoseconds end, 2554 where unsigned ones do."""
EVERYTHING = Search(None, None, [], False, None, None, Range(0, 2**64 - 1), 100, None)


@pytest.fixture
def shard():
    return Shard()


def dirty_hours(shard: Shard) -> list[int]:
    return list(read_shard(shard, 0).state.dirty_hours)


@pytest.mark.parametrize("start", TIMES_NANO)
def test_any_time(shard, start):
    """A span of any time is kept, counted at its own time on every level, and found; nothing of it stays to be done."""
    shard.commit(Made(1, 1, start=start, duration=0))
    shard.summarise()
    minute = start // (60 * 10**9)
    numbers = {
        Level.MINUTE: minute,
        Level.HOUR: minute // 60,
        Level.DAY: minute // 1_440,
    }
    for level, number in numbers.items():
        assert calls(shard.statistics(level=level)) == {number: 1}
    assert dirty_hours(shard) == []
    assert read_shard(shard, 0).state.dirty_days == []
    assert len(trace_by_id(shard, trace_id(1), NOON_UNIX_SECONDS)) == 1
    # The end of a range is left out, and no time comes after the last nanosecond.
    found = search_traces(shard, EVERYTHING, NOON_UNIX_SECONDS)
    assert len(found.traces) == (start < 2**64 - 1)
    day = start // 10**9 // 86_400 * 86_400
    answer = statistics(shard, "shop", seconds_range(day, day + 86_400), None, NOON_UNIX_SECONDS)
    assert answer.total.entry.calls == 1


def test_random_clocks(shard, monkeypatch):
    """Spans that each name an hour of their own, in past and future, fill no fold-state: the roll-up keeps pace."""
    monkeypatch.setattr(fold, "DIRTY_HOURS_MAX", 10)
    monkeypatch.setattr(fold, "TARGETS_MAX", 5)
    seen: list[int] = []
    transact = shard.transact

    def noted(actions):
        transact(actions)
        seen.append(len(dirty_hours(shard)))

    monkeypatch.setattr(shard, "transact", noted)
    times = [i * 1_000 * HOUR_NANO for i in range(60)] + [2**63 + i * HOUR_NANO for i in range(60)]
    for i, start in enumerate(times, 1):
        shard.commit(Made(i, i, start=start))
    shard.summarise()
    assert max(seen) <= 10 + 5
    assert dirty_hours(shard) == []
    assert sum(calls(shard.statistics(level=Level.DAY)).values()) == 120
    assert shard.segments == []


class TestOneIdForEverything:
    """A trace of very many spans; the limits are made small, so that a test is above them."""

    SPANS = 60

    @pytest.fixture
    def filled(self, shard, monkeypatch):
        monkeypatch.setattr(config, "TRACE_SPANS_SEARCHED_MAX", 20)
        monkeypatch.setattr(config, "TRACE_SPANS_MAX", 50)
        monkeypatch.setattr(config, "PAGE_SPANS", 20)
        for first in range(1, self.SPANS, 10):
            shard.commit(*(Made(1, i, start=NOON_NANO + i) for i in range(first, first + 10)))
        return shard

    def test_every_span_under_one_id_counts(self, filled):
        """Every span of it counts."""
        filled.summarise()
        assert sum(calls(filled.statistics()).values()) == self.SPANS

    def test_a_search_looks_at_a_bounded_part_and_says_so(self, filled):
        """A search looks at so many of its spans, and says that it did not look at all."""
        found = search_traces(filled, EVERYTHING, NOON_UNIX_SECONDS)
        assert [each.span_count for each in found.traces] == [20]
        assert found.warnings == [
            "1 traces have more spans than a search looks at: of each, 20 were"
        ]

    def test_the_huge_trace_comes_whole_in_pages(self, filled):
        """As one answer it is refused with the way to get it; as pages every span of it comes, once."""
        with pytest.raises(Exception, match="more than 50 spans: ask for it as columns"):
            trace_by_id(filled, trace_id(1), NOON_UNIX_SECONDS)
        sizes, cursor = [], None
        while True:
            page = trace_page(filled, trace_id(1), NOON_UNIX_SECONDS, cursor)
            sizes.append(sum(chunk.span_count for chunk in page.chunks))
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sizes == [20, 20, 20]

    def test_look_up(self, shard, monkeypatch):
        """Callers of very many callees are looked up in one reading of so many of its spans; those found are edges."""
        parents = [Made(1, i, "shop", kind=INTERNAL) for i in range(1, 31)]
        callees = [Made(1, 100 + i, "cart", parent=i, kind=SERVER) for i in range(1, 31)]
        shard.commit(*callees)
        for first in range(0, 30, 10):
            shard.commit(*parents[first : first + 10])
        monkeypatch.setattr(config, "TRACE_SPANS_SEARCHED_MAX", 45)
        shard.summarise()
        shard.calls.clear()
        shard.summarise(NOON_UNIX_SECONDS + config.PENDING_WINDOW_SECONDS + 1)
        (edges,) = shard.calls_by_edge().items()
        assert edges[0] == ("shop", "cart", EdgeKind.PARENT)
        assert 10 <= edges[1] <= 30


class TestServices:
    """More services than are counted by themselves: three, in a shard and day."""

    CAP = 3

    @pytest.fixture(autouse=True)
    def small_cap(self, monkeypatch):
        monkeypatch.setattr(config, "SERVICES_MAX", self.CAP)

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        numbers=st.lists(st.integers(0, 9), min_size=1, max_size=30),
        cuts=st.sets(st.integers(0, 30), max_size=4),
        rng=st.randoms(use_true_random=False),
    )
    def test_services_above_the_cap_are_whole_in_sum(self, numbers, cuts, rng):
        """In any order and batching the services of the smallest hashes are whole, and so is the sum, on each level."""
        made = [Made(i, i, service=f"service {n}") for i, n in enumerate(numbers, 1)]
        expected = Counter(each.service for each in made)
        keys = [(name,) for name in expected]
        kept = set(expected) - {name for (name,) in above_cap(keys, self.CAP)}
        shard = Shard()
        rng.shuffle(made)
        for first, last in pairwise(sorted({0, len(made), *cuts})):
            if made[first:last]:
                shard.commit(*made[first:last])
                shard.summarise()
        shard.summarise((NOON_DAY + 2) * 86_400)
        names = set(shard.catalogue()) - {EDGES_NAME}
        assert names >= kept
        for level in Level:
            found = {
                name: sum(calls(shard.statistics(name, level=level)).values())
                for name in names | set(expected)
            }
            assert sum(found.values()) == len(made)
            assert {name: found[name] for name in kept} == {name: expected[name] for name in kept}
            pushed_out = set(expected) - kept
            assert all(found[name] <= expected[name] for name in pushed_out)

    def test_the_catalogue_stops_growing(self, shard, monkeypatch):
        """However many services there are, and however long their names, the catalogue stops to grow."""
        monkeypatch.setattr(targets, "_CATALOGUE_NAME_BYTES_MAX", 1_000)
        for first in range(0, 400, 10):
            shard.commit(*(Made(i, i, service=f"{i:0200d}") for i in range(first + 1, first + 11)))
            shard.summarise()
        names = set(shard.catalogue())
        assert sum(map(len, names)) < 1_000 + 10 * 200 + 50
        assert sum(sum(calls(shard.statistics(name)).values()) for name in names) == 400

    def test_capped_services_are_told_in_the_answers(self, shard):
        """The list of services says that there are others, and a service's statistics that some may be its own."""
        names = [f"service {i}" for i in range(10)]
        shard.commit(*(Made(i, i, service=name) for i, name in enumerate(names, 1)))
        shard.summarise()
        asked = seconds_range(NOON_DAY * 86_400, NOON_DAY * 86_400 + 86_400)
        listed = hours_of_services(shard, asked, NOON_UNIX_SECONDS)
        assert len(listed) == self.CAP + 1
        assert len(services_warnings(listed)) == 1
        answers = {name: statistics(shard, name, asked, None, NOON_UNIX_SECONDS) for name in names}
        assert {name for name in names if not answers[name].is_capped} == set(listed) - {
            OTHER_SERVICES
        }
        assert statistics_json(answers["service 0"])["warnings"] or "service 0" in listed
        others = statistics(shard, OTHER_SERVICES, asked, None, NOON_UNIX_SECONDS)
        assert others.total.entry.calls == 10 - self.CAP

    def test_traces_of_capped_services_are_found(self, shard):
        """A search by the name of any service finds its traces, also of one that is counted among others."""
        big = tuple((f"key{i}", "x") for i in range(100))
        for i in range(10):
            spans = [Made(100 * i + j, j, f"service {i}", attributes=big) for j in range(1, 31)]
            shard.commit(*spans)
            shard.summarise()
        assert OTHER_SERVICES in shard.catalogue()
        for i in range(10):
            search = EVERYTHING._replace(service=f"service {i}")
            found = search_traces(shard, search, NOON_UNIX_SECONDS)
            assert (len(found.traces), found.warnings) == (30, [])
        # Without a name a search cannot know whose blocks to read, and says so.
        unnamed = search_traces(shard, EVERYTHING._replace(limit=1_000), NOON_UNIX_SECONDS)
        assert len(unnamed.traces) < 300
        assert [OTHER_SERVICES in warning for warning in unnamed.warnings] == [True]

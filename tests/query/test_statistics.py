"""Statistics: every span counts once, in its step, wherever the fold and the roll-up have brought it."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.model.measure import Measure, bucket_of
from chalicelib.model.names import key_name
from chalicelib.query.parameters import Range
from chalicelib.query.snapshot import Seconds, level_for
from chalicelib.query.statistics import POINTS_MAX, span_names, statistics
from chalicelib.store.layout import Level
from chalicelib.summarise import roll_up as roll_up_module
from tests.memory_store import MemoryStore
from tests.payloads import CLIENT, INTERNAL, MILLI, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made
from tests.query.committed import DAY, HOUR, MINUTE, SECOND, fold, put, roll_up, seconds_range

NOW = NOON_UNIX_SECONDS
STEPS = (None, 60, 120, 900, HOUR, 2 * HOUR, DAY, 90_000)

spans = st.builds(
    Made,
    flags=st.just(0),
    trace=st.just(1),
    span=st.integers(1, 1_000_000),
    parent=st.sampled_from((0, 7)),
    service=st.sampled_from(("shop", "shop", "cart", "s" * 300)),
    name=st.sampled_from(("a", "b", "n" * 300)),
    kind=st.sampled_from((INTERNAL, SERVER, CLIENT)),
    start=st.integers(NOW - 3 * DAY, NOW).map(lambda second: second * SECOND + 5),
    duration=st.sampled_from((0, 1, MILLI, 7 * MILLI)),
    is_error=st.booleans(),
    attributes=st.just(()),
    links=st.just(()),
    resource=st.just(()),
)
commits = st.lists(st.lists(spans, min_size=1, max_size=4), min_size=1, max_size=5)
doings = st.lists(
    st.sampled_from(("fold", "part of the roll-up", "roll-up", "nothing")), min_size=5
)


def filled(batches: list[list[Made]], doing: list[str], shards: int) -> MemoryStore:
    """Commits, with folds and roll-ups between them."""
    store = MemoryStore()
    for batch, done in zip(batches, doing, strict=False):
        put(store, batch, shards=shards)
        if done != "nothing":
            fold(store, shards=shards)
        if done == "roll-up":
            roll_up(store, NOW, shards)
        if done == "part of the roll-up":
            roll_up(store, NOW, shards, steps=1)
    return store


def expected_steps(
    made: list[Made], service: str, seconds: Seconds, step: int
) -> dict[int, dict[tuple[str, int], Measure]]:
    """Start second → series, counted span by span."""
    found: dict[int, dict[tuple[str, int], Measure]] = defaultdict(lambda: defaultdict(Measure))
    for each in made:
        second = each.start // SECOND
        if each.service == service and seconds.start <= second < seconds.end:
            measure = found[second // step * step][key_name(each.name), each.kind]
            bucket = {bucket_of(each.duration): 1}
            measure.add(Measure(1, int(each.is_error), each.duration, bucket))
    return {second: dict(series) for second, series in sorted(found.items())}


@pytest.mark.slow
@given(
    commits,
    doings,
    st.sampled_from((1, 3)),
    st.sampled_from(STEPS),
    st.integers(NOW - 4 * DAY, NOW),
    st.integers(1, 5 * DAY),
)
@settings(max_examples=60, deadline=None)
def test_every_span_counts_once_in_its_step(batches, doing, shards, step, start, width):
    """Whatever is folded and rolled up, in whichever shard, a step holds exactly the spans that began in it."""
    store = filled(batches, doing, shards)
    # Equal messages are one; equal spans of different messages count as often as they came.
    distinct = {tuple(batch) for batch in batches[: len(doing)]}
    made = [each for batch in distinct for each in batch]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "SHARDS_READ", shards)
        for service in ("shop", "s" * 300):
            try:
                answer = statistics(
                    store,
                    service,
                    seconds_range(start, start + width),
                    step and step * SECOND,
                    NOW,
                )
            except InvalidQuery:
                assert step is not None
                assert width // step >= POINTS_MAX - 1
                continue
            assert answer.seconds.start <= start
            assert answer.seconds.end >= start + width
            expected = expected_steps(made, service, answer.seconds, answer.step_seconds)
            assert {second: part.series for second, part in answer.steps.items()} == expected
            entries = [
                each
                for each in made
                if each.service == service
                and (each.kind == SERVER or not each.parent)
                and answer.seconds.start <= each.start // SECOND < answer.seconds.end
            ]
            assert answer.total.entry.calls == len(entries)
            assert answer.total.entry.errors == sum(each.is_error for each in entries)
            assert answer.is_exact


@pytest.mark.slow
@given(commits, doings)
@settings(max_examples=60, deadline=None)
def test_span_names_are_those_of_the_days(batches, doing):
    """Span names and kinds of every span of the range's days, sorted, wherever they are summarised."""
    store = filled(batches, doing, 1)
    made = [each for batch in batches[: len(doing)] for each in batch]
    day = NOW // DAY * DAY
    expected = sorted(
        {
            (key_name(each.name), each.kind)
            for each in made
            if each.service == "shop" and each.start // SECOND >= day
        }
    )
    assert span_names(store, "shop", seconds_range(NOW - 1, NOW + 1), NOW) == expected


def test_an_unknown_service_has_nothing():
    """A service that nobody has heard of has no span names, and statistics without calls."""
    store = MemoryStore()
    assert span_names(store, "nobody", seconds_range(NOW - HOUR, NOW), NOW) == []
    answer = statistics(store, "nobody", seconds_range(NOW - HOUR, NOW), None, NOW)
    assert answer.steps == {}
    assert not answer.total.entry


@pytest.mark.parametrize(
    ("width", "step"),
    [(HOUR, 60), (2 * HOUR, 60), (DAY, 900), (7 * DAY, 2 * HOUR * 3), (14 * DAY, 6 * HOUR)],
)
def test_the_default_step_gives_a_chart_its_points(width, step):
    """Without a step, one of round width is chosen that gives at most 120 points or so."""
    answer = statistics(MemoryStore(), "shop", seconds_range(NOW - width, NOW), None, NOW)
    assert answer.step_seconds == step


@pytest.mark.parametrize(
    ("step", "age", "level"),
    [
        (60, HOUR, Level.MINUTE),
        (60, 8 * DAY, Level.MINUTE),
        (60, 8 * DAY + 60, Level.HOUR),
        (61 * 60, HOUR, Level.MINUTE),
        (HOUR, HOUR, Level.HOUR),
        (HOUR, 92 * DAY, Level.HOUR),
        (HOUR, 93 * DAY, Level.DAY),
        (DAY, DAY, Level.DAY),
        (60, 10_000 * DAY, Level.DAY),
        # Its first step begins before what minutes are kept for.
        (7 * HOUR + 60, 8 * DAY - 60, Level.HOUR),
    ],
)
def test_the_level_is_the_coarsest_that_fits_and_is_kept(step, age, level):
    """A step is made of the coarsest level that divides it, or of the finest above that still has its first step."""
    assert level_for(step, NOW - age, NOW) is level


def test_an_old_range_gets_a_step_that_is_kept():
    """Where minutes are not kept any more, a step of minutes becomes one of hours, and the answer says so."""
    store = MemoryStore()
    start = NOW - 10 * DAY
    put(store, [Made(1, 1, start=start * SECOND)], now=start)
    fold(store, start)
    roll_up(store, start + 2 * HOUR)
    answer = statistics(store, "shop", seconds_range(start, start + HOUR), 60 * SECOND, NOW)
    assert answer.step_seconds == HOUR
    assert answer.total.entry.calls == 1


@pytest.mark.parametrize("step", [0, 1])
def test_a_step_that_cannot_be(step):
    """No step, and one so small that the answer had too many points, are refused as the parameter step."""
    with pytest.raises(InvalidQuery) as refused:
        statistics(MemoryStore(), "shop", seconds_range(NOW - 3 * DAY, NOW), step, NOW)
    assert refused.value.parameter == "step"


@pytest.mark.parametrize("asked", [Range(0, 1), Range(0, 2**64 - 1), Range(2**64 - 2, 2**64 - 1)])
@pytest.mark.parametrize("step", [None, 2**64 - 1])
def test_any_range_has_an_answer(asked, step):
    """Ranges and steps of any size are answered, for whole steps."""
    store = MemoryStore()
    put(store, [Made(1, 1)])
    answer = statistics(store, "shop", asked, step, NOW)
    assert answer.seconds.start * SECOND <= asked.start
    assert answer.seconds.end * SECOND >= asked.end
    assert answer.total.entry.calls == (answer.seconds.start <= NOW < answer.seconds.end)


def test_a_long_range_does_not_read_its_minutes():
    """What is rolled up is read at its own level: minutes of a week are not read for a chart of hours."""
    store = MemoryStore()
    start = NOW - 3 * DAY
    for minute in range(0, 2 * DAY // MINUTE, 7):
        moment = start + minute * MINUTE
        put(store, [Made(1, minute + 1, start=moment * SECOND)], now=moment)
    fold(store, NOW - DAY)
    roll_up(store, NOW)
    put(store, [Made(1, 1, start=NOON_NANO)])
    counting = ItemsRead(store)
    answer = statistics(counting, "shop", seconds_range(start, NOW + 1), HOUR * SECOND, NOW)
    assert answer.total.entry.calls == 1 + 2 * DAY // MINUTE // 7 + 1
    assert counting.items_read < 80


def test_a_roll_up_in_parts_leaves_nothing_out(monkeypatch):
    """While an hour's minutes have moved only in part, for they are too many for one step, a day has all of them."""
    monkeypatch.setattr(roll_up_module, "_BYTES_MAX", 0)
    store = MemoryStore()
    start = NOW - 2 * DAY
    for minute in range(5):
        put(store, [Made(1, minute + 1, start=(start + minute * MINUTE) * SECOND)], now=start)
    fold(store, start)
    for _ in range(8):
        answer = statistics(store, "shop", seconds_range(start, NOW), DAY * SECOND, NOW)
        assert answer.total.entry.calls == 5
        roll_up(store, NOW, steps=1)


class ItemsRead(MemoryStore):
    """Counts the items that queries return."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self.items = store.items
        self.items_read = 0

    def query(self, *arguments, **more):
        for item in super().query(*arguments, **more):
            self.items_read += 1
            yield item


class FoldsMeanwhile(MemoryStore):
    """Somebody folds whenever targets are about to be read."""

    def __init__(self, store: MemoryStore, times: int) -> None:
        super().__init__()
        self.items = store.items
        self._times = times

    def query(self, table, partition, *arguments, **more):
        if str(partition).startswith("s|") and self._times:
            self._times -= 1
            plain = MemoryStore()
            plain.items = self.items
            put(plain, [Made(9, self._times + 1, service="other")])
            fold(plain)
        yield from super().query(table, partition, *arguments, **more)


@pytest.mark.parametrize(("times", "is_exact"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_fold_in_between_is_noticed(times, is_exact):
    """A fold while an answer is put together makes it be put together again; after three, the answer says so."""
    store = MemoryStore()
    put(store, [Made(1, 1), Made(1, 2)])
    answer = statistics(
        FoldsMeanwhile(store, times), "shop", seconds_range(NOW, NOW + 1), None, NOW
    )
    assert answer.is_exact is is_exact
    if is_exact:
        assert answer.total.entry.calls == 2


def test_on_dynamodb(store):
    """The same on the tables themselves: before the fold, after it, and after the roll-up."""
    put(store, [Made(1, 1), Made(1, 2, is_error=True)], now=NOW - 5 * HOUR)
    put(store, [Made(1, 3, start=NOON_NANO - 5 * HOUR * SECOND)], now=NOW - 5 * HOUR)

    def counted() -> list[tuple[int, int]]:
        asked = seconds_range(NOW - 6 * HOUR, NOW + 1)
        return [
            (part.entry.calls, part.entry.errors)
            for step in (MINUTE, HOUR, DAY)
            for part in statistics(store, "shop", asked, step * SECOND, NOW).steps.values()
        ]

    expected = [(1, 0), (2, 1), (1, 0), (2, 1), (3, 1)]
    assert counted() == expected
    fold(store)
    assert counted() == expected
    roll_up(store, NOW + 2 * HOUR)
    assert counted() == expected
    roll_up(store, NOW + 2 * DAY)
    assert counted() == expected

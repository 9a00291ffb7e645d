"""Pages of a search: on the tables themselves, cut short at any point, and never at the cost of what came before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.model.names import key_name
from chalicelib.query import search as search_module
from chalicelib.query.parameters import Range, Search
from chalicelib.query.search import Found, search_traces
from tests.memory_store import MemoryStore
from tests.payloads import CLIENT, MILLI, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made, trace_id
from tests.query.committed import HOUR, SECOND, fold, put

if TYPE_CHECKING:
    from chalicelib.store.items import ItemStore

NOW = NOON_UNIX_SECONDS
AGO = NOON_NANO - 600 * SECOND
LONG = "n" * 300
EVERYTHING = Search(
    None, None, [], False, None, None, Range(NOON_NANO - HOUR * SECOND, NOON_NANO + 1), 20, None
)


def ids(found: Found) -> list[int]:
    return [int.from_bytes(summary.trace_id, "big") for summary in found.traces]


def found_by(store: ItemStore, now: int = NOW, **wanted: Any) -> Found:
    return search_traces(store, EVERYTHING._replace(**wanted), now)


def pages(store: ItemStore, search: Search) -> list[int]:
    """The traces of every page, one after the other."""
    found: list[int] = []
    for _ in range(100):
        page = search_traces(store, search, NOW)
        assert len(page.traces) <= search.limit
        found += ids(page)
        if page.next_cursor is None:
            return found
        search = search._replace(cursor=page.next_cursor)
    raise AssertionError("paging does not end")


def test_on_dynamodb(store):
    """On the tables themselves: the same traces in the same order, page by page, folded or not."""
    for number in range(1, 8):
        made = Made(number, 1, start=AGO + number % 4, attributes=(("n", number % 2),))
        put(store, [made, Made(number, 2, "cart", 1, start=AGO + 10, is_error=number > 5)])
    expected = sorted(range(1, 8), key=lambda number: (number % 4, number), reverse=True)
    for _ in range(2):
        for limit in (1, 2, 7, 20):
            assert pages(store, EVERYTHING._replace(limit=limit)) == expected
        assert ids(found_by(store, service="cart", only_errors=True)) == [7, 6]
        assert ids(found_by(store, attributes=[("n", "0")])) == [6, 2, 4]
        assert found_by(store, service="cart", attributes=[("n", "0")]).traces == []
        fold(store)


def test_a_summary_is_of_the_whole_trace(store):
    """What a list says of a trace is of all its spans, also those that the search did not ask for."""
    put(
        store,
        [
            Made(1, 1, "shop", 0, "GET /cart", SERVER, AGO, 300 * MILLI),
            Made(1, 2, "shop", 1, "SELECT", CLIENT, AGO + 1, 5 * MILLI, True),
            Made(1, 3, "cart", 1, "lookup", SERVER, AGO + 2, 250 * MILLI),
        ],
    )
    (summary,) = found_by(store, span_name="SELECT").traces
    assert summary._asdict() == {
        "trace_id": trace_id(1),
        "root_service": "shop",
        "root_span_name": "GET /cart",
        "start_time_unix_nano": AGO,
        "duration_nano": 300 * MILLI,
        "span_count": 3,
        "error_count": 1,
        "service_span_counts": {"cart": 1, "shop": 2},
        "service_error_counts": {"shop": 1},
    }


@pytest.mark.parametrize("name", [LONG, key_name(LONG)], ids=["as it was sent", "as it is listed"])
def test_a_long_name_finds_its_spans(name):
    """A name over 256 bytes is found as it was sent, and under the bounded form in which it is listed."""
    store = MemoryStore()
    put(store, [Made(1, 1, LONG, name=LONG, start=AGO), Made(2, 1, LONG + "x", start=AGO)])
    assert key_name(LONG) != LONG
    assert ids(found_by(store, service=name)) == [1]
    assert ids(found_by(store, span_name=name)) == [1]


def test_an_expired_trace_is_not_there(store):
    """Spans are found to the last second of their retention, whether DynamoDB has deleted them yet or not."""
    put(store, [Made(1, 1, start=AGO)])
    later = NOW + config.RETENTION_SECONDS
    assert ids(found_by(store, now=later - 1)) == [1]
    assert found_by(store, now=later).traces == []


spans = st.builds(
    Made,
    flags=st.just(0),
    trace=st.integers(1, 8),
    span=st.integers(1, 3),
    service=st.sampled_from(("shop", "cart")),
    parent=st.just(0),
    name=st.sampled_from(("a", "b")),
    kind=st.just(SERVER),
    start=st.sampled_from([NOON_NANO - ago * SECOND for ago in (0, 1, 2, 60, 3_599, 3_601)]),
    duration=st.sampled_from((0, 2 * HOUR * SECOND)),
    is_error=st.just(False),
    attributes=st.just(()),
    links=st.just(()),
    resource=st.just(()),
)


@pytest.mark.slow
@given(
    st.lists(st.lists(spans, min_size=1, max_size=8), min_size=1, max_size=6),
    st.sampled_from((None, "shop")),
    st.sampled_from((None, "a")),
    st.sampled_from((1, 2, 20)),
    st.integers(1, 6),
)
@settings(max_examples=60, deadline=None)
def test_a_search_that_is_cut_short_is_in_order_and_goes_on(batches, service, name, limit, ticks):
    """Where work runs out, what is answered is a prefix of the true answer, and next goes on without a gap."""
    store = MemoryStore()
    for batch in batches:
        put(store, batch)
    search = EVERYTHING._replace(service=service, span_name=name, range=Range(0, 2**64 - 1))
    expected = ids(search_traces(store, search, NOW))
    search = search._replace(limit=limit)
    found: list[int] = []
    for _ in range(200):
        left = iter([True] * ticks)
        page = search_traces(store, search, NOW, partial(next, left, False))
        found += ids(page)
        assert found == expected[: len(found)]
        if page.next_cursor is None:
            break
        search = search._replace(cursor=page.next_cursor)
    else:
        raise AssertionError("paging does not end")
    assert found == expected or any("limit of work" in warning for warning in page.warnings)


def test_a_search_reads_no_more_traces_than_its_limit_of_work(monkeypatch):
    """A question that the index narrows badly stops, says so, and can be gone on with to its end."""
    store = MemoryStore()
    for number in range(1, 41):
        durations = 0 if number < 38 else MILLI
        put(store, [Made(number, 1, start=NOON_NANO - number, duration=durations)])
    monkeypatch.setattr(search_module, "TRACES_READ_MAX", 10)
    assert pages(store, EVERYTHING._replace(min_duration_nano=MILLI)) == [38, 39, 40]
    assert pages(store, EVERYTHING._replace(max_duration_nano=MILLI - 1)) == [*range(1, 38)]
    # Each condition is met, but by no span both.
    for number in range(101, 141):
        other = Made(number, 1, name="x", start=NOON_NANO - number, attributes=(("k", "v"),))
        put(store, [other, Made(number, 2, start=other.start)])
    not_narrowed = EVERYTHING._replace(span_name="GET /", attributes=[("k", "v")])
    page = search_traces(store, not_narrowed, NOW)
    assert page.traces == []
    assert page.next_cursor
    assert "limit of work" in page.warnings[0]
    assert pages(store, not_narrowed) == []


def test_a_page_reads_what_it_needs_of_a_busy_hour():
    """Neither a first page nor a later one reads the traces of a whole hour, or blocks older than it needs."""
    store = MemoryStore()
    for number in range(1, 301):
        put(store, [Made(number, 1, start=NOON_NANO - (300 - number) * SECOND)])
    fold(store)
    search = EVERYTHING._replace(limit=5)
    for page_number in range(10):
        counting = CountingStore(store)
        found = search_traces(counting, search, NOW)
        newest = 300 - page_number * 5
        assert ids(found) == list(range(newest, newest - 5, -1))
        assert counting.traces_read <= 7
        assert counting.blocks_read <= 5 * page_number + 10
        search = search._replace(cursor=found.next_cursor)


class CountingStore(MemoryStore):
    """Counts the traces and blocks that are read."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self.items = store.items
        self.traces_read = self.blocks_read = 0

    def query(self, table, *arguments, **more):
        self.traces_read += table == config.SPANS_TABLE
        for item in super().query(table, *arguments, **more):
            self.blocks_read += table == config.INDEX_TABLE
            yield item

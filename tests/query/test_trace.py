"""A trace by its id, and its summary."""

from __future__ import annotations

import pytest

from chalicelib import config
from chalicelib.errors import InvalidQuery, NotFound
from chalicelib.query.trace import Page, summary_of, trace_by_id, trace_chunks, trace_page
from chalicelib.store.dynamodb import DynamoStore
from tests.payloads import CLIENT, NOON_NANO, NOON_UNIX_SECONDS, Made, span_id, trace_id
from tests.query.committed import put
from tests.query.stored import stored

NOW = NOON_UNIX_SECONDS


def test_the_spans_of_several_messages_are_one_trace(store):
    """Spans that came apart are together, by start; copies are one, different spans under one id are all there."""
    first = Made(1, 1, start=NOON_NANO + 2)
    put(store, [first, Made(1, 2, start=NOON_NANO + 1), Made(2, 1)])
    put(store, [Made(1, 3, start=NOON_NANO), first])
    put(store, [first._replace(service="cart")])
    spans = trace_by_id(store, trace_id(1), NOW)
    assert [(int.from_bytes(span.span_id, "big"), span.scope.service) for span in spans] == [
        (3, "shop"),
        (2, "shop"),
        *sorted([(1, "shop"), (1, "cart")], key=[(s.span_id[-1], s.scope.service) for s in spans].index),
    ]  # fmt: skip


def test_an_unknown_trace(store):
    """A trace that is not there is NotFound."""
    with pytest.raises(NotFound):
        trace_by_id(store, trace_id(77), NOW)


@pytest.mark.parametrize(
    ("made", "root"),
    [
        ([Made(1, 1, start=5, parent=9), Made(1, 2, name="root", start=7)], "root"),
        ([Made(1, 1, start=5, parent=9, name="first"), Made(1, 2, start=7, parent=9)], "first"),
        ([Made(1, 1, start=6, name="late"), Made(1, 2, start=5, name="early")], "early"),
        ([Made(1, 1, start=6, parent=9, name="above"), Made(1, 2, start=5, parent=1)], "above"),
        ([Made(1, 1, start=6, parent=2), Made(1, 2, start=5, parent=1, name="circle")], "circle"),
    ],
)
def test_the_root(store, made, root):
    """The root is the earliest span without a parent, else of those whose parent is not here, else of all."""
    put(store, made)
    assert summary_of(trace_by_id(store, trace_id(1), NOW)).root_span_name == root


def test_a_summary_spans_the_whole_trace(store):
    """A trace lasts from its earliest start to its latest end, also where a child outlives its root."""
    put(
        store,
        [
            Made(1, 1, start=NOON_NANO, duration=10),
            Made(1, 2, "cart", 1, kind=CLIENT, start=NOON_NANO + 5, duration=20, is_error=True),
        ],
    )
    summary = summary_of(trace_by_id(store, trace_id(1), NOW))
    assert (summary.start_time_unix_nano, summary.duration_nano) == (NOON_NANO, 25)
    assert (summary.span_count, summary.error_count, summary.services) == (2, 1, ["cart", "shop"])
    assert summary.service_span_counts == {"cart": 1, "shop": 1}
    assert summary.service_error_counts == {"cart": 1}


def pages_of(store, trace: int = 1) -> list[Page]:
    pages = [trace_page(store, trace_id(trace), NOW)]
    while cursor := pages[-1].next_cursor:
        pages.append(trace_page(store, trace_id(trace), NOW, cursor))
    return pages


def batches(count: int, spans: int = 2) -> list[list[Made]]:
    return [[Made(1, spans * n + i + 1) for i in range(spans)] for n in range(count)]


@pytest.mark.parametrize("spans_max", [1, 2, 3, 4, 9, 100])
def test_pages_are_the_trace(monkeypatch, spans_max):
    """The pages, put together, have every chunk once; each ends with the chunk that brings it to the limit."""
    monkeypatch.setattr(config, "PAGE_SPANS", spans_max)
    store = stored(batches(5))
    pages = pages_of(store)
    keys = [chunk.key for page in pages for chunk in page.chunks]
    assert len(set(keys)) == len(keys) == 5
    raw_spans = {raw for page in pages for c in page.chunks for _, raws in c.spans for raw in raws}
    assert raw_spans == {span.raw for span in trace_by_id(store, trace_id(1), NOW)}
    for page in pages:
        counts = [chunk.span_count for chunk in page.chunks]
        assert sum(counts[:-1]) < spans_max
        assert sum(counts) >= spans_max or page is pages[-1]


@pytest.mark.parametrize("limit", ["PAGE_STORED_BYTES", "PAGE_CONTENT_BYTES"])
def test_bytes_end_a_page_too(monkeypatch, limit):
    """A page ends before its spans are too many, if they are large."""
    monkeypatch.setattr(config, limit, 1)
    assert [len(page.chunks) for page in pages_of(stored(batches(3)))] == [1, 1, 1]


def test_a_page_reads_on_from_its_cursor(store, monkeypatch):
    """A page reads its own chunks and the one after them, however long the trace is."""
    monkeypatch.setattr(config, "PAGE_SPANS", 4)
    for batch in batches(7):
        put(store, batch)
    read = []

    class Watched(DynamoStore):
        def query(self, *arguments, **more):
            for item in super().query(*arguments, **more):
                read.append(item)
                yield item

    watched = Watched(store._client)
    cursor = None
    for expected in (3, 3, 3, 1):
        read.clear()
        page = trace_page(watched, trace_id(1), NOW, cursor)
        assert len([item for item in read if item["p"] == trace_id(1)]) == expected
        cursor = page.next_cursor
    assert cursor is None


def test_a_page_of_no_trace():
    """A trace that is not there is NotFound; what expired after the first page is an empty last page."""
    store = stored(batches(1))
    with pytest.raises(NotFound):
        trace_page(store, trace_id(77), NOW)
    (page,) = pages_of(store)
    cursor = page.chunks[-1].key
    assert trace_page(store, trace_id(1), NOW, cursor) == Page(trace_id(1), [], None)
    with pytest.raises(NotFound):
        trace_page(store, trace_id(1), NOW + 400 * 86_400)


def test_some_chunks():
    """Chunks by their keys are those of a page, in a page's order; those that are gone are left out."""
    store = stored(batches(4))
    (page,) = pages_of(store)
    wanted = [page.chunks[2], page.chunks[0]]
    found = trace_chunks(store, trace_id(1), NOW, [chunk.key for chunk in wanted])
    assert found.chunks == [page.chunks[0], page.chunks[2]]
    spans = trace_by_id(store, trace_id(1), NOW, [page.chunks[1].key])
    assert {span.raw for span in spans} == {r for _, raws in page.chunks[1].spans for r in raws}
    with pytest.raises(NotFound):
        trace_chunks(store, trace_id(1), NOW + 400 * 86_400, [page.chunks[0].key])
    with pytest.raises(NotFound):
        trace_by_id(store, trace_id(1), NOW + 400 * 86_400, [page.chunks[0].key])


def test_chunks_of_one_page_fit_another(monkeypatch):
    """All chunks of any page may be asked for at once; more than a page holds may not."""
    monkeypatch.setattr(config, "PAGE_SPANS", 3)
    store = stored(batches(5))
    pages = pages_of(store)
    for page in pages:
        keys = [chunk.key for chunk in reversed(page.chunks)]
        assert trace_chunks(store, trace_id(1), NOW, keys).chunks == page.chunks
    keys = [chunk.key for page in pages for chunk in page.chunks]
    with pytest.raises(InvalidQuery) as refused:
        trace_chunks(store, trace_id(1), NOW, keys)
    assert refused.value.parameter == "chunk"


def test_some_spans():
    """Spans by their ids, of the whole trace or of some of its chunks; none is NotFound."""
    store = stored(batches(3))
    (page,) = pages_of(store)
    found = trace_by_id(store, trace_id(1), NOW, span_ids={span_id(1), span_id(4), span_id(99)})
    assert {span.span_id for span in found} == {span_id(1), span_id(4)}
    keys = [chunk.key for chunk in page.chunks]
    assert len(trace_by_id(store, trace_id(1), NOW, keys, {span_id(2)})) == 1
    with pytest.raises(NotFound):
        trace_by_id(store, trace_id(1), NOW, span_ids={span_id(99)})


@pytest.mark.parametrize("key", ["x", "AAAA", "A" * 28, "é" * 28, "=" * 28, "of another trace"])
def test_keys_that_are_none(key):
    """What is no key of a chunk of this trace is refused, as a chunk and as a cursor."""
    store = stored([[Made(1, 1)], [Made(2, 1)]])
    if key == "of another trace":
        key = pages_of(store, 2)[0].chunks[0].key
    with pytest.raises(InvalidQuery) as refused:
        trace_chunks(store, trace_id(1), NOW, [key])
    assert refused.value.parameter == "chunk"
    with pytest.raises(InvalidQuery) as refused:
        trace_page(store, trace_id(1), NOW, key)
    assert refused.value.parameter == "cursor"

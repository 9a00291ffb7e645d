"""Tags of Jaeger's searches: where they are looked for, and every answer against a brute-force one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.jaeger.tags import TagConditions
from chalicelib.model.clew_pb2 import SearchBlock
from chalicelib.model.frame import message_in, seal
from chalicelib.query.parameters import Range, Search
from chalicelib.query.search import Searcher
from chalicelib.store.search_block import VERSION
from tests.memory_store import MemoryStore
from tests.payloads import NOON_NANO, NOON_UNIX_SECONDS, Made
from tests.query.committed import put

HERE = (("k", "v"),)
EVERYTHING = Search(None, None, [], False, None, None, Range(0, 2**64 - 1), 1_000, None)


def found(store: Any, tags: list[tuple[str, str]], search: Search = EVERYTHING) -> list[int]:
    conditions = TagConditions(search, tags)
    result = Searcher(
        store,
        search,
        NOON_UNIX_SECONDS,
        lambda: True,
        lambda spans: int.from_bytes(spans[0].trace_id, "big"),
        conditions,
    ).run()
    return sorted(result.answers)


SPANS = [
    Made(1, 1, attributes=HERE),
    Made(2, 1, resource=HERE),
    Made(3, 1, events=(("retry", HERE),)),
    Made(4, 1, attributes=(("k", "w"),), events=(("other", (("k", "500"),)),)),
    Made(5, 1, events=(("retry", ()),), is_error=True),
    Made(5, 2, attributes=HERE),
    Made(6, 1, attributes=(("error", True), ("event", "retry"))),
    Made(7, 1, scope=(("in", "scope"),)),
    Made(8, 1, links=((9, 9),), link_attributes=(("in", "link"),)),
    Made(9, 1, scope=(("in", "scope"),), links=((7, 1),), link_attributes=(("in", "link"),)),
]


@pytest.fixture(scope="module")
def store():
    made = MemoryStore()
    put(made, SPANS)
    return made


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        pytest.param([("k", "v")], [1, 2, 3, 5], id="on the span, its resource or an event"),
        pytest.param([("k", "500")], [4], id="on an event alone"),
        pytest.param([("in", "scope")], [7, 9], id="on its scope"),
        pytest.param([("in", "link")], [8, 9], id="on a link"),
        pytest.param([("in", "scope"), ("in", "link")], [9], id="on both"),
        pytest.param([("event", "retry")], [3, 5, 6], id="an event's name is its log's event"),
        pytest.param([("k", "w"), ("k", "500")], [4], id="one key in two places"),
        pytest.param([("k", "v"), ("event", "retry")], [3], id="all on one span"),
        pytest.param([("error", "True")], [5, 6], id="the status, or a tag of that name"),
        pytest.param([("error", "false"), ("k", "v")], [1, 2, 3, 5], id="no error"),
        pytest.param([("error", "true"), ("k", "v")], [], id="another span's error"),
        pytest.param([("otel.status_code", "error")], [5], id="the status as Jaeger shows it"),
        pytest.param([("span.status", "UNSET"), ("k", "w")], [4], id="the status, second model"),
        pytest.param([("otel.scope.name", "tests"), ("k", "w")], [4], id="the scope"),
        pytest.param([("scope.name", "other")], [], id="another scope"),
        pytest.param([("k", "")], [], id="no value"),
        pytest.param([("service.name", "shop"), ("k", "w")], [4], id="the service as a tag"),
    ],
)
def test_a_tag_is_found_in_any_of_its_places(store, tags, expected):
    """A tag may stand in any of its places; all of a search's tags must stand on one span."""
    assert found(store, tags) == expected


@pytest.mark.parametrize("missing", ["has_event_hashes", "has_scope_and_link_hashes"])
def test_older_blocks(store, missing):
    """Blocks from before everything was indexed lead to traces in which only an event, scope or link has the tag."""
    old = MemoryStore()
    old.items.update(store.items)
    for (table, partition, sort), item in store.items.items():
        if table == config.INDEX_TABLE:
            block = message_in(SearchBlock, item["v"], VERSION)
            setattr(block, missing, False)
            block.attribute_hash_counts[:] = [0] * len(block.attribute_hash_counts)
            block.attribute_hashes = b""
            sealed = seal(block.SerializeToString())
            old.items[table, partition, sort] = {**item, "v": sealed}
    assert found(old, [("k", "500")]) == [4]
    assert found(old, [("in", "scope")]) == [7, 9]
    assert found(old, [("in", "link")]) == [8, 9]


def test_only_what_may_match_is_read(store):
    """A tag that no row has costs no trace read."""
    store.calls.clear()
    assert found(store, [("k", "nowhere")]) == []
    without = len(store.calls)
    store.calls.clear()
    assert found(store, [("k", "500")]) == [4]
    assert len(store.calls) == without + 1


keys, values = st.sampled_from(["a", "b", "event"]), st.sampled_from(["x", "y", "1", True])
pairs = st.lists(st.tuples(keys, values), max_size=2, unique_by=lambda pair: pair[0]).map(tuple)
made_spans = st.builds(
    Made,
    trace=st.integers(1, 4),
    span=st.integers(1, 10**6),
    service=st.sampled_from(["shop", "cart"]),
    start=st.integers(NOON_NANO - 10**13, NOON_NANO),
    is_error=st.booleans(),
    links=st.sampled_from([(), ((1, 1),), ((1, 1), (2, 2))]),
    scope=pairs,
    link_attributes=pairs,
    parent=st.integers(0, 2),
    kind=st.integers(0, 5),
    name=st.just("GET /"),
    duration=st.integers(0, 10),
    attributes=pairs,
    resource=pairs,
    events=st.lists(st.tuples(st.sampled_from(["x", "z"]), pairs), max_size=2).map(tuple),
    flags=st.just(0),
)


def _text(value: Any) -> str:
    return "true" if value is True else str(value)


def _tags_of(made: Made) -> set[tuple[str, str]]:
    pairs = [*made.attributes, *made.resource, *made.scope]
    if made.links:
        pairs += made.link_attributes
    for name, attributes in made.events:
        pairs += [("event", name), *attributes]
    tags = {(key, _text(value)) for key, value in pairs}
    return tags | {("error", "true" if made.is_error else "false")}


@settings(deadline=None)
@given(
    st.lists(made_spans, min_size=1, max_size=8),
    st.lists(
        st.tuples(keys, values.map(_text))
        | st.sampled_from([("error", "true"), ("error", "false")]),
        max_size=3,
    ),
    st.sampled_from([None, "shop"]),
)
def test_search_is_a_filter(spans, tags, service):
    """Any tags find the traces in which a span has them all."""
    store = MemoryStore()
    put(store, spans)
    expected = {
        made.trace
        for made in spans
        if service in (None, made.service) and _tags_of(made).issuperset(tags)
    }
    assert found(store, tags, EVERYTHING._replace(service=service)) == sorted(expected)

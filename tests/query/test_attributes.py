"""Attributes to choose from: a sample of a service's newest traces."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.query import attributes as attributes_module
from chalicelib.query.attributes import Sample, attributes_of_service
from chalicelib.query.parameters import Range, Search
from chalicelib.query.search import search_traces
from tests.payloads import NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made, trace_id
from tests.query.stored import stored

NOW = NOON_UNIX_SECONDS
EVERYTHING = Range(0, 2**64 - 1)


def sampled(batches: list[list[Made]], service: str = "shop", asked: Range = EVERYTHING) -> Sample:
    return attributes_of_service(stored(batches), service, asked, NOW)


values = st.sampled_from((1, "1", 2.0, True, "é", b"x", "y" * 256, "z" * 257, ""))
attributes = st.lists(st.tuples(st.sampled_from("abc"), values), max_size=4).map(tuple)
spans = st.builds(
    Made,
    flags=st.just(0),
    trace=st.integers(1, 4),
    span=st.integers(1, 9),
    service=st.sampled_from(("shop", "cart")),
    parent=st.just(0),
    name=st.just("GET /"),
    kind=st.just(SERVER),
    duration=st.just(1),
    is_error=st.just(False),
    links=st.just(()),
    start=st.sampled_from((NOON_NANO, NOON_NANO + 5)),
    attributes=attributes,
    resource=attributes,
)


@pytest.mark.slow
@given(
    st.lists(spans, min_size=1, max_size=12, unique_by=lambda made: (made.trace, made.span)),
    st.sampled_from((EVERYTHING, Range(NOON_NANO, NOON_NANO + 1))),
)
@settings(max_examples=60, deadline=None)
def test_every_value_counts_the_spans_that_a_search_finds(made: list[Made], asked: Range) -> None:
    """Whatever the spans: keys count spans, and each value is one that a search by it finds."""
    store = stored([made])
    sample = attributes_of_service(store, "shop", asked, NOW)
    of_service = [
        each for each in made if each.service == "shop" and asked.start <= each.start < asked.end
    ]
    expected = Counter(
        key for each in of_service for key in {key for key, _ in (*each.attributes, *each.resource)}
    )
    counts = {each.key: each.span_count for each in sample.attributes if len(each.key) == 1}
    assert counts == expected
    assert sample.trace_count == len({each.trace for each in of_service})
    for each in sample.attributes:
        by_count = [count for _, count in each.values]
        assert by_count == sorted(by_count, reverse=True)
        for value, _ in each.values:
            search = Search("shop", None, [(each.key, value)], False, None, None, asked, 9, None)
            assert search_traces(store, search, NOW).traces
            assert len(value) <= 256


def test_the_most_frequent_come_first():
    """Keys and values come by falling count, equal ones by name."""
    sample = sampled(
        [
            [Made(1, 1, attributes=(("b", "x"), ("a", "x"), ("c", "x")))],
            [Made(1, 2, attributes=(("b", "y"), ("a", "x")))],
            [Made(2, 1, attributes=(("b", "y"), ("d", 1)))],
        ]
    )
    of_spans = [tuple(each) for each in sample.attributes if each.key != "service.name"]
    assert of_spans == [
        ("b", 3, [("y", 2), ("x", 1)]),
        ("a", 2, [("x", 2)]),
        ("c", 1, [("x", 1)]),
        ("d", 1, [("1", 1)]),
    ]


def test_a_span_counts_once():
    """A pair that a span has itself and by its resource counts once; a key with two values counts once."""
    twice = Made(1, 1, attributes=(("k", "x"), ("k", "y")), resource=(("k", "x"),))
    (key, _) = sampled([[twice]]).attributes
    assert key == ("k", 1, [("x", 1), ("y", 1)])


def test_what_no_search_can_name_is_left_out():
    """A key with an equals sign cannot be asked for, nor one without a letter; a long value has no entry."""
    odd = (("a=b", "x"), ("", "x"), ("long", "x" * 257), ("fits", "é" * 256))
    sample = sampled([[Made(1, 1, attributes=odd)]])
    assert {each.key: len(each.values) for each in sample.attributes} == {
        "service.name": 1,
        "long": 0,
        "fits": 1,
    }


def test_samples_are_bounded_to_the_newest_and_most_frequent(monkeypatch):
    """No more traces, spans of a trace, keys and values than there may be: the newest and most frequent ones."""
    monkeypatch.setattr(attributes_module, "TRACES_MAX", 2)
    monkeypatch.setattr(attributes_module, "SPANS_OF_A_TRACE_MAX", 3)
    monkeypatch.setattr(attributes_module, "KEYS_MAX", 2)
    monkeypatch.setattr(attributes_module, "VALUES_MAX", 2)
    batches = [
        [
            Made(
                trace,
                span,
                start=NOON_NANO + trace,
                attributes=(("k", f"{trace} {span}"), ("l", 1)),
            )
            for span in range(1, 6)
        ]
        for trace in range(1, 5)
    ]
    sample = sampled(batches)
    assert sample.trace_count == 2
    assert [(each.key, each.span_count) for each in sample.attributes] == [("k", 6), ("l", 6)]
    assert [len(each.values) for each in sample.attributes] == [2, 1]
    assert {value[0] for value, _ in sample.attributes[0].values} <= {"3", "4"}
    assert sample.warnings == []


@pytest.mark.parametrize("times", [0, 1, 3])
def test_time_that_runs_out_is_said(times):
    """A sample that may go on no longer is of what it has, and says so."""
    store = stored([[Made(n, 1, start=NOON_NANO + n)] for n in range(1, 9)])
    left = iter([True] * times)
    sample = attributes_of_service(store, "shop", EVERYTHING, NOW, lambda: next(left, False))
    assert sample.trace_count < 8
    assert any("limit of work" in warning for warning in sample.warnings)


def test_a_trace_that_is_gone_is_said():
    """A trace that the index names, but that is not there, is left out and told of."""
    store = stored([[Made(1, 1)], [Made(2, 1)]])
    for address in [each for each in store.items if each[1] == trace_id(1)]:
        del store.items[address]
    sample = attributes_of_service(store, "shop", EVERYTHING, NOW)
    assert sample.trace_count == 1
    assert sample.warnings

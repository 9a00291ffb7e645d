"""Search: captioned questions and what must come back, and every answer against a brute-force one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.model.names import statistics_name
from chalicelib.query import search as search_module
from chalicelib.query.parameters import Range, Search
from chalicelib.query.search import search_traces
from chalicelib.summarise.job import summarise_shards
from tests.payloads import CLIENT, MILLI, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made, trace_id
from tests.query.stored import stored

if TYPE_CHECKING:
    from tests.memory_store import MemoryStore

HOUR = 3_600 * 10**9
EVERYTHING = Search(None, None, [], False, None, None, Range(0, 2**64 - 1), 1_000, None)


def ids(store: MemoryStore, search: Search) -> list[int]:
    found = search_traces(store, search, NOON_UNIX_SECONDS)
    return [int.from_bytes(each.trace_id, "big") for each in found.traces]


SPANS = [
    Made(1, 1, "shop", 0, "GET /", SERVER, NOON_NANO - 50, 30 * MILLI),
    Made(1, 2, "cart", 1, "add", SERVER, NOON_NANO - 40, 5 * MILLI, True, (("http.status", 500),)),
    Made(2, 1, "shop", 0, "GET /", SERVER, NOON_NANO - 30, 90 * MILLI, False, (("user", "ann"),)),
    Made(2, 2, "cart", 1, "remove", SERVER, NOON_NANO - 20, 7 * MILLI),
    Made(
        3,
        1,
        "cart",
        0,
        "add",
        SERVER,
        NOON_NANO - 2 * HOUR,
        MILLI,
        False,
        (("ok", True), ("x", 0.5)),
    ),
    Made(4, 1, "mail", 0, "send", CLIENT, NOON_NANO - 10, 0, True, (), (), (("region", "eu"),)),
    Made(
        4,
        2,
        "mail",
        1,
        "retry",
        CLIENT,
        NOON_NANO - 5,
        80 * MILLI,
        False,
        (("http.status", "500"),),
        ((7, 1), (2, 9), (7, 2)),
        (("region", "eu"),),
    ),
]


class Question(NamedTuple):
    caption: str
    asked: dict[str, Any]
    traces: list[int]


QUESTIONS = [
    Question("no condition: newest first, by the trace's own start", {}, [4, 2, 1, 3]),
    Question("a service anywhere in the trace", {"service": "cart"}, [2, 1, 3]),
    Question("a service that there is not", {"service": "nobody"}, []),
    Question("a span name of any service", {"span_name": "add"}, [1, 3]),
    Question("service and span name on one span", {"service": "shop", "span_name": "add"}, []),
    Question("a text attribute", {"attributes": [("user", "ann")]}, [2]),
    Question(
        "an attribute's string form: integer and text alike",
        {"attributes": [("http.status", "500")]},
        [4, 1],
    ),
    Question("a boolean by its word", {"attributes": [("ok", "true")]}, [3]),
    Question("a double by its shortest decimal", {"attributes": [("x", "0.5")]}, [3]),
    Question("a resource attribute", {"attributes": [("region", "eu")]}, [4]),
    Question("two attributes on one span", {"attributes": [("ok", "true"), ("x", "0.5")]}, [3]),
    Question(
        "attributes of span and resource together",
        {"attributes": [("region", "eu"), ("http.status", "500")]},
        [4],
    ),
    Question(
        "two attributes on different spans",
        {"attributes": [("user", "ann"), ("http.status", "500")]},
        [],
    ),
    Question("a value that is only similar", {"attributes": [("user", "Ann")]}, []),
    Question("a link back", {"link": trace_id(2)}, [4]),
    Question(
        "a link and an attribute", {"link": trace_id(7), "attributes": [("region", "eu")]}, [4]
    ),
    Question("a link on another span", {"link": trace_id(7), "span_name": "send"}, []),
    Question("a trace that nobody links to", {"link": trace_id(4)}, []),
    Question("failed spans", {"only_errors": True}, [4, 1]),
    Question(
        "failed, and slow, but not the same span",
        {"only_errors": True, "min_duration_nano": 10 * MILLI},
        [],
    ),
    Question("at least so long, itself included", {"min_duration_nano": 80 * MILLI}, [4, 2]),
    Question("at most so long, itself included", {"max_duration_nano": 5 * MILLI}, [4, 1, 3]),
    Question(
        "between two durations",
        {"min_duration_nano": 6 * MILLI, "max_duration_nano": 30 * MILLI},
        [2, 1],
    ),
    Question("a range: start itself is in it", {"range": Range(NOON_NANO - 20, NOON_NANO)}, [4, 2]),
    Question("a range: end itself is not", {"range": Range(NOON_NANO - 50, NOON_NANO - 40)}, [1]),
    Question(
        "a range by another span than the first",
        {"range": Range(NOON_NANO - 45, NOON_NANO - 35)},
        [1],
    ),
    Question(
        "an hour with nothing", {"range": Range(NOON_NANO - 2 * HOUR + 1, NOON_NANO - HOUR)}, []
    ),
    Question("fewer than there are", {"limit": 2}, [4, 2]),
]


@pytest.mark.parametrize("folded", [False, True], ids=["unfolded", "folded"])
@pytest.mark.parametrize("question", QUESTIONS, ids=[question.caption for question in QUESTIONS])
def test_each_question_finds_exactly_its_traces(question: Question, folded: bool) -> None:
    """Each captioned question finds exactly its traces, before a fold and after."""
    store = stored([SPANS[:3], SPANS[3:5], SPANS[5:]])
    if folded:
        summarise_shards(store, [0], NOON_UNIX_SECONDS)
    assert ids(store, EVERYTHING._replace(**question.asked)) == question.traces


spans = st.builds(
    Made,
    flags=st.just(0),
    trace=st.integers(1, 5),
    span=st.integers(1, 4),
    service=st.sampled_from(("shop", "cart", "s" * 300)),
    parent=st.integers(0, 3),
    name=st.sampled_from(("a", "b", "n" * 300)),
    kind=st.sampled_from((SERVER, SERVER, CLIENT)),
    start=st.sampled_from([NOON_NANO + step for step in (-2 * HOUR, -1, 0, 5, 7, HOUR)]),
    duration=st.integers(0, 4),
    is_error=st.booleans(),
    attributes=st.sampled_from(((), (("k", 1),), (("k", "1"), ("l", "x")), (("k", 2),))),
    links=st.sampled_from(((), (), ((1, 3),), ((9, 1), (2, 2)))),
    resource=st.sampled_from(((), (("l", "x"),))),
)
searches = st.builds(
    Search,
    service=st.sampled_from((None, "shop", "s" * 300, "none")),
    span_name=st.sampled_from((None, None, "a", "n" * 300)),
    attributes=st.sampled_from(([], [], [("k", "1")], [("k", "1"), ("l", "x")])),
    only_errors=st.booleans(),
    min_duration_nano=st.sampled_from((None, 2)),
    max_duration_nano=st.sampled_from((None, 3)),
    range=st.sampled_from(
        (
            Range(0, 2**64 - 1),
            Range(NOON_NANO, NOON_NANO + 7),
            Range(NOON_NANO - HOUR, NOON_NANO + 1),
        )
    ),
    limit=st.integers(1, 4),
    cursor=st.none(),
    kind=st.sampled_from((None, None, SERVER)),
    link=st.sampled_from((None, None, None, trace_id(1), trace_id(9), trace_id(8))),
)


def brute_force(batches: list[list[Made]], search: Search) -> list[int]:
    """Ids of the traces that match, in order, by looking at every span."""
    every = [made for batch in batches for made in batch]

    def matches(made: Made) -> bool:
        texts = {(key, str(value)) for key, value in (*made.attributes, *made.resource)}
        return (
            search.service in (None, made.service)
            and search.span_name in (None, made.name)
            and texts.issuperset(search.attributes)
            and (search.link is None or search.link in {trace_id(trace) for trace, _ in made.links})
            and (made.is_error or not search.only_errors)
            and search.kind in (None, made.kind)
            and (search.min_duration_nano or 0) <= made.duration
            and made.duration <= (search.max_duration_nano or 2**64)
            and search.range.start <= made.start < search.range.end
        )

    starts: dict[int, int] = {}
    for made in every:
        starts[made.trace] = min(starts.get(made.trace, made.start), made.start)
    found = {made.trace for made in every if matches(made)}
    return sorted(found, key=lambda trace: (starts[trace], trace_id(trace)), reverse=True)


@pytest.mark.slow
@given(
    st.lists(st.lists(spans, min_size=1, max_size=6), min_size=1, max_size=4),
    searches,
    st.booleans(),
    st.sampled_from((1, 3)),
)
@settings(max_examples=80, deadline=None)
def test_every_answer_is_the_brute_force_one_page_after_page(
    batches: list[list[Made]], search: Search, folded: bool, index_shards: int
) -> None:
    """Whatever is stored and asked: the pages, put together, are what looking at every span would give."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "INDEX_SHARDS", index_shards)
        patch.setattr(config, "INDEX_SHARDS_READ", index_shards)
        check_pages(batches, search, folded)


def check_pages(batches: list[list[Made]], search: Search, folded: bool) -> None:
    store = stored(batches)
    if folded:
        summarise_shards(store, [0], NOON_UNIX_SECONDS + 3 * 86_400)
    expected = brute_force(batches, search)
    pages: list[int] = []
    cursor = None
    for _ in range(len(expected) + 2):
        found = search_traces(store, search._replace(cursor=cursor), NOON_UNIX_SECONDS)
        assert found.warnings == []
        assert len(found.traces) <= search.limit
        pages += [int.from_bytes(each.trace_id, "big") for each in found.traces]
        cursor = found.next_cursor
        if cursor is None:
            break
    assert cursor is None
    assert pages == expected


def test_work_that_runs_out_is_said_and_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that reaches its limit of work gives what is certain, says so, and its cursor goes on from there."""
    monkeypatch.setattr(search_module, "TRACES_READ_MAX", 3)
    batches = [[Made(n, 1, start=NOON_NANO - n * 10)] for n in range(1, 9)]
    store = stored(batches)
    first = search_traces(store, EVERYTHING, NOON_UNIX_SECONDS)
    assert [int.from_bytes(each.trace_id, "big") for each in first.traces] == [1, 2, 3]
    assert first.next_cursor
    assert any("limit of work" in warning for warning in first.warnings)


def test_a_trace_that_the_index_names_but_that_is_gone_is_said() -> None:
    """A candidate whose chunks are not there is left out, and the answer says that it was."""
    store = stored([[Made(1, 1)], [Made(2, 1)]])
    for address in [each for each in store.items if each[1] == trace_id(1)]:
        del store.items[address]
    found = search_traces(store, EVERYTHING, NOON_UNIX_SECONDS)
    assert [each.trace_id for each in found.traces] == [trace_id(2)]
    assert found.warnings


def test_the_expired_is_not_found() -> None:
    """What DynamoDB has not deleted yet, but whose time is over, is no answer."""
    store = stored([[Made(1, 1)]])
    assert search_traces(store, EVERYTHING, NOON_UNIX_SECONDS + 400 * 86_400).traces == []


@pytest.mark.parametrize("cursor", ["x", "AAAA", "é", "=" * 50, "A" * 34])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    """A cursor that no answer gave is the asker's fault, named."""
    with pytest.raises(InvalidQuery) as refused:
        search_traces(stored([[Made(1, 1)]]), EVERYTHING._replace(cursor=cursor), NOON_UNIX_SECONDS)
    assert refused.value.parameter == "cursor"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("GET /users/{id}", [1, 2]),
        ("GET /users/7", [1]),
        ("GET /users/9", []),
        ("POST /users/{id}", []),
        (statistics_name("q" * 300 + " 123456"), [3]),
    ],
)
def test_names_with_ids(asked, found):
    """A span is found by its own name, and by the one that statistics list it under; also if that was cut."""
    names = ("GET /users/7", "GET /users/8", "q" * 300 + " 123456")
    made = [Made(i, i, name=name) for i, name in enumerate(names, 1)]
    search = EVERYTHING._replace(span_name=asked)
    assert sorted(ids(stored([made]), search)) == found

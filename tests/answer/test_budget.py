"""Every question has a budget: whatever is stored and asked, an answer's work and memory are bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import app
from chalicelib import config, wiring
from chalicelib.budget import Budget, Held, Limits, usual_limits
from chalicelib.errors import OutOfTime, TooMuchAsked
from chalicelib.http.request import QueryRequest
from chalicelib.http.respond import streamed_answer
from chalicelib.http.stream import Array, Object, parts, plain
from chalicelib.query.parameters import Range, Search
from chalicelib.query.search import search_traces
from chalicelib.store.metered import MeteredStore
from tests.answer.hostile import CASES
from tests.dialects import JAEGER, ZIPKIN
from tests.events import event
from tests.payloads import CLIENT, MILLI, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made, trace_id
from tests.query.committed import fold, put
from tests.query.stored import stored

if TYPE_CHECKING:
    from tests.memory_store import MemoryStore

PROJECT = Path(__file__).parents[2]
CPU_SECONDS_MAX = 9
"""The budget's six, and what lies between two looks at the clock, on a machine that does other things too."""
MEGABYTES_MAX = 256
ASKED = [
    number
    for number, case in enumerate(CASES)
    if case.is_always_asked or os.environ.get("BOUNDS") == "all"
]
"""All of them take minutes."""
NOT_ASKED = {
    # Those who send, and who configure.
    *("POST /v1/traces", "POST /v1/metrics", "POST /v1/logs", "POST /api/traces"),
    *("POST /api/v2/spans", "POST /api/v1/spans", "GET /sampling", "GET /api/sampling"),
    *("PUT /v1/sampling", "POST /v1/dead-letters/redrive"),
    # Files.
    *("GET /", "HEAD /", "GET /assets/{name}", "HEAD /assets/{name}", "HEAD /health"),
}


def _trace(number: int) -> list[Made]:
    start = NOON_NANO + number * 1_000
    return [
        Made(number, 1, "shop", 0, "GET /", SERVER, start, 30 * MILLI),
        Made(number, 2, "shop", 1, "call", CLIENT, start + 1, attributes=(("k", str(number)),)),
        Made(number, 3, "cart", 2, "GET /cart", SERVER, start + 2, is_error=True),
    ]


TRACES = [_trace(number) for number in range(1, 9)]


def test_every_question_has_a_hostile_case():
    """Each route that answers from the tables, or computes what it answers, is asked as badly as can be."""
    routes = {
        f"{method} {path}"
        for path, of_path in app.routes.items()
        for method in of_path
        # A preflight is answered by its headers.
        if method != "OPTIONS"
    }
    assert routes - NOT_ASKED == {case.route for case in CASES}


@pytest.fixture(scope="module")
def answered() -> dict[int, dict[str, Any]]:
    """What each hostile case came to, in a process of its own."""
    settings_ = {
        "CLEW_ACCESS": "open",
        "CLEW_TELEMETRY": "0",
        "CLEW_ANSWER_SECONDS_MAX": "600",
        "CLEW_ZIPKIN_AUTOCOMPLETE_KEYS": "user.id,url.path",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.answer.hostile", *map(str, ASKED)],
        cwd=PROJECT,
        env={**os.environ, **settings_},
        capture_output=True,
        text=True,
        check=True,
    )
    return {found["case"]: found for found in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize("number", ASKED, ids=lambda number: f"{number} {CASES[number].route}")
def test_a_hostile_question_is_bounded(answered, number):
    """It takes a bounded share of processor and memory, and what is refused is told in the dialect's own form."""
    case, found = CASES[number], answered[number]
    assert found["status"] in case.statuses, found
    assert found["cpu_seconds"] <= CPU_SECONDS_MAX, found
    assert found["megabytes"] <= MEGABYTES_MAX, found
    if found["status"] == 503:
        assert found["headers"]["Retry-After"]
    if found["status"] in (413, 503):
        assert_own_form(case.route, found["status"], found["body"])


def assert_own_form(route: str, status: int, body: str) -> None:
    path = route.partition(" ")[2]
    if path.startswith("/api/v2/"):
        assert not body.startswith(("{", "["))
    elif path.startswith("/api/v3/"):
        assert json.loads(body)["error"]["httpCode"] == status
    elif path.startswith("/api/"):
        assert json.loads(body)["errors"][0]["code"] == status
    else:
        assert json.loads(body)["error"]["code"] in ("response_too_large", "out_of_time")


def test_what_is_over_ends_at_once():
    """A budget refuses the piece that is over its limit, and says which limit it is."""
    limits = Limits(2, 100, Held(2, 100, 2), 2, 100)
    budget = Budget(limits=limits)
    budget.read(2, 100)
    budget.write(100)
    budget.hold(Held(2, 100, 2))
    budget.let_go(Held(1, 50, 1))
    budget.hold(Held(1, 50, 1))
    budget.hold_figures(2)
    for spend in (
        lambda: budget.read(1, 0),
        lambda: budget.read(0, 1),
        lambda: budget.write(1),
        lambda: budget.hold(Held(1, 0, 0)),
        lambda: budget.hold_figures(1),
    ):
        with pytest.raises(TooMuchAsked, match="the limit"):
            spend()


def test_time_is_looked_at_while_the_work_is_done():
    """Whatever is spent, the clock is looked at every few pieces."""
    looks: list[int] = []

    def time_left() -> bool:
        looks.append(1)
        return len(looks) < 10

    budget = Budget(time_left)
    with pytest.raises(OutOfTime):
        list(map(budget.write, [10] * 10_000))
    assert len(looks) == 10
    assert budget.written_bytes < 10 * 1_000


def ask(answers, route: str, store, path=None, values=None, body: bytes = b"") -> Any:
    return answers[route](
        QueryRequest(store, path or {}, values or {}, {}, body, NOON_NANO + 10**9, lambda: True)
    )


LOOKBACK = {"endTs": [str(NOON_UNIX_SECONDS * 1_000 + 1_000)], "lookback": ["3600000"]}
QUESTIONS = [
    (JAEGER, "GET /api/services", {}, {}),
    (JAEGER, "GET /api/traces/{trace_id}", {"trace_id": trace_id(1).hex()}, {}),
    (JAEGER, "GET /api/traces", {}, {"traceID": ["1", "2", "2", "77"]}),
    (JAEGER, "GET /api/traces", {}, {"service": ["shop"], "limit": ["5"]}),
    (JAEGER, "GET /api/v3/traces/{trace_id}", {"trace_id": trace_id(1).hex()}, {}),
    (JAEGER, "GET /api/dependencies", {}, LOOKBACK),
    (JAEGER, "GET /api/metrics/calls", {}, {"service": ["shop", "cart"], **LOOKBACK}),
    (ZIPKIN, "GET /api/v2/trace/{trace_id}", {"trace_id": trace_id(1).hex()}, {}),
    (ZIPKIN, "GET /api/v2/traceMany", {}, {"traceIds": ["1,2,77"]}),
    (ZIPKIN, "GET /api/v2/traces", {}, {"serviceName": ["shop"]}),
]


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    found = stored(TRACES)
    fold(found)
    put(found, [Made(20, 1, "shop", start=NOON_NANO)])
    return found


limits_around = st.builds(
    Limits,
    st.integers(0, 60),
    st.integers(0, 20_000),
    st.builds(Held, st.integers(0, 30), st.integers(0, 5_000), st.integers(0, 40)),
    st.integers(0, 200),
    st.integers(0, 20_000),
)


@given(st.sampled_from(QUESTIONS), limits_around, st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_a_budget_only_refuses(question, limits, looks):
    """An answer that is within a budget is the same, byte for byte, as without one; else it is a 413 or a 503."""
    answers, route, path, values = question
    store = stored(TRACES[:4])
    left = iter(range(looks))
    free = ask(answers, route, store, path, values)
    budget = Budget(lambda: next(left, None) is not None, limits)
    bounded = ask(answers, route, MeteredStore(store, budget), path, values)
    if bounded.status in (413, 503):
        assert ("Retry-After" in bounded.headers) is (bounded.status == 503)
    else:
        assert bounded == free


def test_questions_of_the_usual_size_are_within_the_usual_budget(store):
    """None of these is refused, and all that they read is counted."""
    for answers, route, path, values in QUESTIONS:
        budget = Budget()
        answer = ask(answers, route, MeteredStore(store, budget), path, values)
        assert answer.status == 200, answer
        assert budget.items
        assert budget.written_bytes >= len(answer.body)


class Gone:
    """The context of a request whose asker has gone."""

    def get_remaining_time_in_millis(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("resource", "path", "query"),
    [
        ("/v1/traces/{trace_id}", {"trace_id": trace_id(1).hex()}, []),
        ("/v1/edges", {}, []),
        ("/api/traces", {}, [("traceID", "1"), ("traceID", "2")]),
        ("/api/v2/traceMany", {}, [("traceIds", "1,2")]),
    ],
)
def test_nothing_is_read_for_an_asker_who_has_gone(store, monkeypatch, resource, path, query):
    """The work for an answer that nobody waits for ends with the next look: here, before anything was read."""
    monkeypatch.setattr(config, "ACCESS_OPEN", True)
    monkeypatch.setattr(wiring, "store", lambda: store)
    store.calls.clear()
    response = app(event("GET", resource, path, query), Gone())
    assert response["statusCode"] == 503
    assert response["headers"]["Retry-After"]
    assert store.calls == []


def test_a_trace_that_is_asked_for_again_and_again_is_read_once(store):
    """Ids that are the same, in whatever form, are one."""
    store.calls.clear()
    values = {"traceID": ["1", "01", trace_id(1).hex()] * 1_000}
    answer = ask(JAEGER, "GET /api/traces", store, {}, values)
    assert [trace["traceID"] for trace in orjson.loads(answer.body)["data"]] == [f"{1:016x}"]
    assert store.calls == ["query"]


def test_ids_and_services_are_bounded(store):
    """So many traces, and services of metrics, may be asked for at once: more are refused before anything is read."""
    store.calls.clear()
    ids = {"traceID": [str(number) for number in range(1, config.TRACES_ASKED_MAX + 2)]}
    services = {"service": [f"s{n}" for n in range(config.METRICS_SERVICES_MAX + 1)], **LOOKBACK}
    for route, values in (("GET /api/traces", ids), ("GET /api/metrics/calls", services)):
        answer = ask(JAEGER, route, store, {}, values)
        assert answer.status == 413
        assert "at most" in orjson.loads(answer.body)["errors"][0]["msg"]
    assert store.calls == []


def test_spans_are_counted_over_all_traces(store, monkeypatch):
    """What several traces have in all is bounded as one trace is."""
    monkeypatch.setattr(config, "TRACE_SPANS_MAX", 7)
    two, three = ({"traceID": [str(n) for n in range(1, last)]} for last in (3, 4))
    assert ask(JAEGER, "GET /api/traces", MeteredStore(store, Budget()), {}, two).status == 200
    refused = ask(JAEGER, "GET /api/traces", MeteredStore(store, Budget()), {}, three)
    assert refused.status == 413
    many = {"traceIds": ["1,2,3"]}
    refused = ask(ZIPKIN, "GET /api/v2/traceMany", MeteredStore(store, Budget()), {}, many)
    assert refused.status == 413
    assert b"more than 7 spans" in refused.body


def test_services_that_are_repeated_count_once(store):
    """A service's metrics are read once, however often it is named."""
    once = {"service": ["shop"], **LOOKBACK}
    often = {"service": ["shop", "shop,service=shop"] * 300, **LOOKBACK}
    answers = []
    for values in (once, often):
        store.calls.clear()
        answer = ask(JAEGER, "GET /api/metrics/calls", store, {}, values)
        answers.append((answer.body, len(store.calls)))
    assert answers[0] == answers[1]


EVERYTHING = Search(None, None, [], False, None, None, Range(0, 2**64 - 1), 20, None)


def test_a_search_bounds_all_the_spans_that_it_looks_at(store, monkeypatch):
    """Not only traces are counted: it stops with what it has, says so, and goes on from there."""
    monkeypatch.setattr(config, "SEARCH_SPANS_MAX", 6)
    found = search_traces(store, EVERYTHING, NOON_UNIX_SECONDS)
    assert 1 <= len(found.traces) <= 3
    assert found.next_cursor
    assert "limit of work" in found.warnings[0]


def test_a_search_says_which_traces_are_too_large_for_it(store, monkeypatch):
    """Of a trace with too many attributes some spans are looked at, and a warning says so."""
    monkeypatch.setattr(config, "TRACE_PARTS_SEARCHED_MAX", 1)
    found = search_traces(store, EVERYTHING, NOON_UNIX_SECONDS)
    assert "larger than a search looks at" in found.warnings[0]


def test_an_answer_that_is_too_large_is_not_made():
    """The elements of an answer are made one by one, and no more of them once it is too large, gzipped or not."""
    for accepted in ({}, {"accept-encoding": "gzip"}):
        made: list[int] = []

        def elements(made=made):
            for number in range(1_000_000):
                made.append(number)
                yield os.urandom(20_000).hex()

        with pytest.raises(TooMuchAsked):
            streamed_answer(Array(elements()), accepted)
        assert len(made) <= config.RESPONSE_BYTES_MAX // 20_000 + 100


def test_an_answer_that_compresses_well_is_bounded_too():
    """Not only what leaves is bounded, but what is made for it."""
    made: list[int] = []

    def elements():
        for number in range(10_000_000):
            made.append(number)
            yield "x" * 100_000

    with pytest.raises(TooMuchAsked):
        streamed_answer(Array(elements()), {"accept-encoding": "gzip"}, budget=Budget())
    assert len(made) <= usual_limits().written_bytes // 100_000 + 1


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def streamed(value: Any) -> Any:
    """The same document, of which all that can be is streamed."""
    if isinstance(value, list):
        return Array(map(streamed, value))
    if isinstance(value, dict):
        return Object((name, streamed(each)) for name, each in value.items())
    return value


@given(plain_values)
def test_what_is_streamed_is_the_same_json(value):
    """In pieces a document is the same bytes as at once, and at once the same value."""
    assert b"".join(parts(streamed(value))) == orjson.dumps(value)
    assert plain(streamed(value)) == value

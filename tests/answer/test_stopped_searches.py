"""What a search says that was stopped before its end: a part of what there is, never that there is nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from chalicelib import config
from chalicelib.http.request import QueryRequest
from chalicelib.query import search as search_module
from tests.dialects import JAEGER, ZIPKIN
from tests.memory_store import MemoryStore
from tests.payloads import NOON_NANO, SERVER, Made
from tests.query.committed import fold, put

ANSWERS = {**JAEGER, **ZIPKIN}
V3_RANGE = {
    "query.start_time_min": "2026-01-01T00:00:00Z",
    "query.start_time_max": "2100-01-01T00:00:00Z",
}
SEARCHES: list[tuple[str, dict[str, str]]] = [
    ("GET /api/traces", {"service": "shop"}),
    ("GET /api/v3/traces", {"query.service_name": "shop", **V3_RANGE}),
    ("GET /api/v3/trace-summaries", {"query.service_name": "shop", **V3_RANGE}),
    ("GET /api/v2/traces", {"serviceName": "shop"}),
    ("GET /api/v2/autocompleteValues", {"key": "user.id"}),
]
every_search = pytest.mark.parametrize(("route", "values"), SEARCHES, ids=lambda each: str(each))


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    found = MemoryStore()
    for number in range(1, 6):
        span = Made(number, 1, "shop", 0, "GET /", SERVER, NOON_NANO + number)
        put(found, [span._replace(attributes=(("user.id", str(number)),))])
    fold(found)
    return found


@pytest.fixture(autouse=True)
def _offers_values(monkeypatch):
    monkeypatch.setattr(config, "ZIPKIN_AUTOCOMPLETE_KEYS", ["user.id"])


def ask(store: Any, route: str, values: dict[str, str], time_left: Any = lambda: True) -> Any:
    lists = {name: [value] for name, value in values.items()}
    return ANSWERS[route](QueryRequest(store, {}, lists, {}, b"", NOON_NANO + 10**9, time_left))


def assert_own_form(route: str, answer: Any, status: int) -> None:
    """The dialect's own error, with this status and what to do about it."""
    assert answer.status == status
    assert b"narrow its time range" in answer.body
    if route.startswith("GET /api/v2"):
        assert answer.headers["Content-Type"].startswith("text/plain")
    elif route.startswith("GET /api/v3"):
        assert orjson.loads(answer.body)["error"]["httpCode"] == status
    else:
        assert orjson.loads(answer.body)["errors"][0]["code"] == status


@every_search
def test_no_time_is_not_nothing(store, route, values):
    """A search that has found nothing when its time is over may find something later: 503, with Retry-After."""
    answer = ask(store, route, values, lambda: False)
    assert_own_form(route, answer, 503)
    assert answer.headers["Retry-After"] == str(config.RETRY_AFTER_SECONDS)


@every_search
def test_no_more_work_is_not_nothing(store, monkeypatch, route, values):
    """A search that has found nothing in all that it may look at would not by asking again: 413, for less can be."""
    monkeypatch.setattr(search_module, "TRACES_READ_MAX", 0)
    answer = ask(store, route, values)
    assert_own_form(route, answer, 413)
    assert "Retry-After" not in answer.headers


@every_search
def test_what_was_found_is_answered(store, monkeypatch, route, values):
    """A search that has found something by then answers that, and says in a header that there may be more."""
    monkeypatch.setattr(search_module, "TRACES_READ_MAX", 2)
    answer = ask(store, route, values)
    assert answer.status == 200
    assert "limit of work" in answer.headers["Warning"]


@every_search
def test_nothing_is_nothing(route, values):
    """A search that came to its end, and found nothing, says so as its dialect does."""
    answer = ask(MemoryStore(), route, values)
    assert answer.status == (404 if route == "GET /api/v3/traces" else 200)
    assert "Warning" not in answer.headers

"""The searches of queries.json, in each dialect, as raw requests to the whole API."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from app import app
from chalicelib import config, wiring
from local.fake_aws import Moto
from local.gateway import Answer, Gateway, Request
from tests.contract.searched import EARLIER_START, NAMES, START, payloads
from tests.query.committed import put_payload

QUERIES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("queries.json").read_text(encoding="utf-8")
)
"""Caption, dialect, query as in a URL, and the names of the traces found (newest first) or a status that is no 200.

`window` says when, unless the query itself does; `path` and `method` are there where they are not the usual ones.
"""
PATHS = {"clew": "/v1/traces", "jaeger": "/api/traces", "zipkin": "/api/v2/traces"}
_TIMES = {
    "clew": ("start=", "end="),
    "jaeger": ("start=", "end=", "traceID=", "query."),
    "zipkin": ("endTs=", "lookback="),
}
_SECONDS = 300


def named(queries: list[dict[str, Any]]) -> Any:
    """One test for each."""
    names = [f"{query['dialect']}: {query['caption']}" for query in queries]
    return pytest.mark.parametrize("query", queries, ids=names)


def with_times(query: dict[str, Any]) -> str:
    """The query as in a URL, with the times of its window."""
    dialect, text = query["dialect"], str(query["query"])
    if any(part.startswith(_TIMES[dialect]) for part in text.split("&")):
        return text
    start = EARLIER_START if query.get("window") == "earlier" else START
    begin, end = start - _SECONDS * 10**6, start + 60 * 10**6
    times: dict[str, Any] = {
        "clew": {"start": begin // 10**6, "end": end // 10**6},
        "jaeger": {"start": begin, "end": end},
        "zipkin": {"endTs": end // 1_000, "lookback": (end - begin) // 1_000},
    }[dialect]
    return f"{text}&{urlencode(times)}"


def names_in(query: dict[str, Any], answer: Any) -> list[str]:
    """Which traces an answer holds."""
    if query["dialect"] == "zipkin":
        ids = [trace[0]["traceId"] for trace in answer]
    elif query.get("path", "").startswith("/api/v3"):
        ids = [trace["traceId"] for trace in answer["summaries"]]
    elif query["dialect"] == "jaeger":
        ids = [trace["traceID"] for trace in answer["data"]]
    else:
        ids = [trace["trace_id"] for trace in answer["traces"]]
    return [NAMES[int(trace_id, 16)] for trace_id in ids]


@pytest.fixture(scope="module")
def gateway():
    moto = Moto()
    moto.start(config.PREFIX, {})
    for content in payloads():
        put_payload(wiring.store(), content, int(time.time()))
    yield Gateway(app)
    moto.stop()


def ask(gateway: Gateway, query: dict[str, Any]) -> Answer:
    path = query.get("path", PATHS[query["dialect"]])
    method = query.get("method", "GET")
    return gateway.answer(Request(method, path, with_times(query), {}, b"", "127.0.0.1"))


@named(QUERIES)
def test_each_search_finds_its_traces_in_order(gateway, query):
    """Each search finds the traces that it should, in order, or is refused."""
    answer = ask(gateway, query)
    assert answer.status == query.get("status", 200), answer.body
    if "expected" in query:
        assert names_in(query, json.loads(answer.body)) == query["expected"]


def test_there_are_enough():
    """Captions are names, and every dialect has its searches."""
    captions = [(query["dialect"], query["caption"]) for query in QUERIES]
    assert len(set(captions)) == len(captions) >= 60
    assert {dialect for dialect, _ in captions} == set(PATHS)
    assert all(("expected" in query) != ("status" in query) for query in QUERIES)

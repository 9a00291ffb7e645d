"""The demo keeps its promises: what it says that one can find is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from local.demo import (
    CACHE,
    DATABASE,
    ENDPOINT,
    MAIL_SERVER,
    PAYMENT_PROVIDER,
    SEARCH_INDEX,
    SERVICES,
    SLOW_WAREHOUSE,
    Refused,
    Sender,
    Settings,
    Shop,
    lines_for,
    settings_from_environment,
)
from local.stack import LaptopStack
from tests.e2e.shop import get, http, minutes_ago

pytestmark = pytest.mark.slow

VISITS = 80


@pytest.fixture(scope="module")
def stack():
    with LaptopStack(batch_window_seconds=0.05, run_schedules=False) as started:
        yield started


@pytest.fixture(scope="module")
def trace_count(stack):
    """Sends some dozens of visits; how many traces they made."""
    shop, sender = Shop(seed=1), Sender(stack.url)
    traces = 0
    for number in range(VISITS):
        traces += shop.visit(minutes_ago(number % 25 + 1))
    assert sender.send(shop.take_spans())
    sender.close()
    stack.wait_until_stored()
    return traces


def test_every_service_of_the_shop_sends_spans(stack, trace_count):
    """Every service of the shop sends spans, and nothing else does."""
    assert get(stack.url, "/v1/services")["services"] == sorted(SERVICES)


def test_trace_count(stack, trace_count):
    """As many traces arrive as were made: an order's e-mail is one of its own."""
    assert len(get(stack.url, "/v1/traces", limit=1_000)["traces"]) == trace_count > VISITS


@pytest.mark.parametrize("is_folded", [False, True])
def test_the_edges_are_those_of_the_shop(stack, trace_count, is_folded):
    """Calls, databases, strangers and the queue are the edges that the shop has, all of them known by name."""
    if is_folded:
        stack.summarise()
    answer = get(stack.url, "/v1/edges")
    assert {(edge["caller"], edge["callee"], edge["kind"]) for edge in answer["edges"]} == {
        *(("frontend", name, "rpc") for name in ("users", "cart", "checkout", "search")),
        *(("checkout", name, "rpc") for name in ("cart", "inventory", "payment", "shipping")),
        ("frontend", "recommendation", "rpc"),
        ("checkout", "fraud-check", "rpc"),
        ("cart", "inventory", "rpc"),
        *((name, DATABASE, "database") for name in ("users", "checkout", "inventory", "shipping")),
        ("recommendation", DATABASE, "database"),
        *((name, CACHE, "database") for name in ("users", "cart", "recommendation")),
        ("search", SEARCH_INDEX, "database"),
        ("payment", PAYMENT_PROVIDER, "external"),
        ("email-worker", MAIL_SERVER, "external"),
        ("checkout", "email-worker", "messaging"),
    }


def test_slow_warehouse(stack, trace_count):
    """Stock is slow in one warehouse alone, and a trace shows the queries that make it so."""
    parameters = {"service": "inventory", "min_duration": "400ms", "limit": 1_000}
    slow = get(stack.url, "/v1/traces", **parameters)["traces"]
    attribute = f"warehouse.id={SLOW_WAREHOUSE}"
    assert slow == get(stack.url, "/v1/traces", attribute=attribute, **parameters)["traces"]
    document = get(stack.url, f"/v1/traces/{slow[0]['trace_id']}")
    names = [
        span["name"]
        for resource_spans in document["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    ]
    assert names.count("SELECT stock") >= 12


def test_failed_payments(stack, trace_count):
    """A few payments fail, and their span says why."""
    figures = get(stack.url, "/v1/services/payment/statistics")["total"]
    assert 0 < figures["errors"] < figures["calls"] / 4
    parameters = {"service": "payment", "status": "error", "limit": 1_000}
    failed = get(stack.url, "/v1/traces", **parameters)["traces"]
    assert len(failed) == figures["errors"]
    document = get(stack.url, f"/v1/traces/{failed[0]['trace_id']}")
    (event,) = [
        event
        for resource_spans in document["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
        for event in span.get("events", [])
    ]
    assert event["name"] == "exception"


def test_what_to_look_for(stack, trace_count):
    """Every URL that is printed finds something."""
    lines = lines_for(Settings(stack.url, 5, 300, 1))
    urls = [word for line in lines for word in line.split() if "/v1/" in word]
    assert len(urls) == 3
    for url in urls:
        answer = http(url).json
        assert answer.get("traces") or answer.get("edges")


def test_spans_lie_within_their_parents(trace_count):
    """Spans lie within their parents, and nothing of a visit lasts longer than the demo looks back."""
    shop = Shop(seed=2)
    start = minutes_ago(1)
    for _ in range(VISITS):
        shop.visit(start)
    spans = [span for of_service in shop.take_spans().values() for span in of_service]
    by_id = {span.context.span_id: span for span in spans}
    for span in spans:
        assert start <= (span.start_time or 0) <= (span.end_time or 0) < start + 4 * 10**9
        if span.parent:
            parent = by_id[span.parent.span_id]
            assert (parent.start_time or 0) <= (span.start_time or 0)
            assert (span.end_time or 0) <= (parent.end_time or 0)


def test_the_same_seed_makes_the_same_visits():
    """The same seed makes the same visits, but for their ids."""

    def made(seed: int) -> list[tuple[object, ...]]:
        shop = Shop(seed)
        for _ in range(20):
            shop.visit(10**18)
        return [
            (service, span.name, span.start_time, span.end_time)
            for service, spans in shop.take_spans().items()
            for span in spans
        ]

    assert made(3) == made(3) != made(4)


@pytest.mark.parametrize(
    "environment",
    [
        {"ENDPOINT": "127.0.0.1:8000"},
        {"RATE": "0"},
        {"RATE": "nan"},
        {"RATE": "fast"},
        {"BACKLOG": "-1"},
        {"BACKLOG": "1.5"},
        {"SEED": "x"},
    ],
)
def test_refused_settings(environment):
    """A setting that cannot be is refused by name."""
    (name,) = environment
    with pytest.raises(Refused, match=name):
        settings_from_environment(environment)


def test_an_empty_setting_is_its_default():
    """An empty setting is its default, and an endpoint may end in a slash."""
    assert settings_from_environment({"RATE": ""}) == Settings(ENDPOINT, 5, 300, 1)
    assert settings_from_environment({"ENDPOINT": "http://h:1/"}).endpoint == "http://h:1"


def demo(url: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "local.demo"],
        env={**os.environ, "ENDPOINT": url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_nobody_answers():
    """Where no Clew answers, it says so in a line and ends with 1."""
    process = demo("http://127.0.0.1:9")
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors.count("\n")) == (1, "", 1)
    assert "http://127.0.0.1:9" in errors


@pytest.mark.slow
def test_ended_by_ctrl_c(stack):
    """Ctrl-C ends it with 0, and it says how many traces were sent."""
    process = demo(stack.url, BACKLOG="20", RATE="20")
    try:
        assert process.stdout
        for line in process.stdout:
            if "backlog is sent" in line:
                break
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")
    assert int(out.split()[0]) >= 20
    assert "traces sent" in out

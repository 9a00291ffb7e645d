"""A Clew with a data folder is stopped and started: everything is back, and counted once."""

from __future__ import annotations

from typing import Any

import pytest

from local.stack import LaptopStack
from tests.e2e.shop import (
    CLIENT,
    SHOP,
    Services,
    edges,
    export,
    get,
    make_orders,
    minutes_ago,
    seconds_text,
)


@pytest.fixture
def time_range():
    return {"start": seconds_text(minutes_ago(59)), "end": seconds_text(minutes_ago(0))}


def answers(url: str, trace_ids: list[str], time_range: dict[str, str]) -> list[Any]:
    return [
        *(get(url, f"/v1/traces/{trace_id}") for trace_id in trace_ids),
        *(get(url, f"/v1/services/{service}/statistics", **time_range) for service in SHOP),
        get(url, "/v1/edges", **time_range),
        get(url, "/v1/services", **time_range),
        get(url, "/v1/traces", service=SHOP[0], **time_range),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("is_folded", [False, True])
def test_two_restarts(tmp_path, time_range, is_folded):
    """Traces, statistics, edges and lists are the same after each of two restarts, folded before or not."""
    order, batches = make_orders()
    stack = LaptopStack(data_dir=tmp_path, batch_window_seconds=0, run_schedules=False)
    with stack:
        for batch in batches:
            export(stack.url, batch)
        stack.wait_until_stored()
        if is_folded:
            stack.summarise()
        before = answers(stack.url, order.trace_ids, time_range)
        assert edges(stack.url, *SHOP)[SHOP[0], SHOP[1], "rpc"]["calls"] == 3
    for _ in range(2):
        with stack:
            stack.wait_until_stored()
            assert answers(stack.url, order.trace_ids, time_range) == before
            if is_folded:
                stack.summarise()
                assert answers(stack.url, order.trace_ids, time_range) == before


@pytest.mark.slow
def test_sent_again_after_a_restart(tmp_path, time_range):
    """What was sent before a restart and again after it, as a sender does that got no answer, counts once."""
    order, batches = make_orders()
    for _ in range(3):
        with LaptopStack(data_dir=tmp_path, batch_window_seconds=0, run_schedules=False) as stack:
            for batch in batches:
                export(stack.url, batch)
            stack.wait_until_stored()
            total = get(stack.url, f"/v1/services/{SHOP[0]}/statistics", **time_range)["total"]
            assert (total["calls"], total["errors"]) == (3, 1)
            assert edges(stack.url, *SHOP)[SHOP[0], SHOP[1], "rpc"]["calls"] == 3
            (found,) = get(stack.url, "/v1/traces", attribute="order.number=42")["traces"]
            assert found["trace_id"] == order.trace_ids[1]


def test_halves_of_a_call(tmp_path):
    """A call whose sides were sent before and after a restart is one edge."""
    services = Services()
    start = minutes_ago(5)
    asks = services.span(
        *("before", "ask", start, 20),
        kind=CLIENT,
        attributes={"server.address": "after.internal"},
    )
    caller = services.take()
    services.span("after", "answer", start, 10, parent=asks)
    stack = LaptopStack(data_dir=tmp_path, batch_window_seconds=0, run_schedules=False)
    with stack:
        export(stack.url, caller)
    with stack:
        export(stack.url, services.take())
        stack.wait_until_stored()
        found = edges(stack.url, "before", "after")
        assert {key: edge["calls"] for key, edge in found.items()} == {
            ("before", "after", "rpc"): 1
        }

"""`make bench-ui` measures the web UI in a browser: tables in docs/ui.md, JSON in bench/results.

A running Clew's answers are recorded once and replayed, so that the browser's time is measured and not the backend's.
`python -m bench.ui --quick` measures 1,000 spans alone, and rewrites no page.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import urllib.request
from typing import Any

from bench.record import PROJECT, heading, write
from bench.ui import pages, traces
from bench.ui.replay import replaying
from capacity.pages import replace_between, table
from local.stack import LaptopStack
from tests.browser.chromium import chromium
from tests.browser.weight import weight_of

SPANS = (1_000, 10_000, 50_000, 100_000)
FIRST_ROWS_MAX = {1_000: 350, 10_000: 600, 50_000: 1_200, 100_000: 2_500}
USED_SPANS = (50_000, 100_000)
NODES, EDGES = 500, 1_155
TOPOLOGY = {"the busiest 120 edges, as at first": "#/topology", "all edges": "#/topology?hide=0"}


def measure(sizes: tuple[int, ...]) -> dict[str, Any]:
    start = time.time_ns() - 600 * 10**9
    with LaptopStack(batch_window_seconds=0.05, run_schedules=False) as stack:
        for size in sizes:
            for body in traces.requests_of(size, start):
                _send(stack.url, body)
        stack.wait_until_stored(600)
        stack.summarise()
        with chromium() as browser:
            with replaying(stack.url) as url:
                found: dict[str, Any] = {
                    "opened": [
                        pages.open_trace(browser, url, size, traces.trace_id_of(size).hex())
                        for size in sizes
                    ],
                    "used": [
                        {
                            "spans": size,
                            **pages.use_trace(browser, url, traces.trace_id_of(size).hex()),
                        }
                        for size in sizes
                        if size in USED_SPANS or len(sizes) == 1
                    ],
                    "weights": {
                        name: weight_of(browser, f"{url}/{fragment}")._asdict()
                        for name, fragment in {
                            "trace": f"#/trace/{traces.trace_id_of(sizes[0]).hex()}",
                            "search": "#/search",
                            "statistics": f"#/statistics?service={traces.SERVICES[0]}",
                            "topology": "#/topology",
                        }.items()
                    },
                }
            with replaying(stack.url, {"/v1/edges": _edges()}) as url:
                found["topology"] = {
                    name: pages.topology(browser, url, fragment)
                    for name, fragment in TOPOLOGY.items()
                }
    return found


def _send(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/x-protobuf"}
    request = urllib.request.Request(f"{url}/v1/traces", body, headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()


def _edges() -> bytes:
    """Return a graph of services with hubs, cycles and databases."""
    rng = random.Random(1)
    found: dict[tuple[int, int], dict[str, Any]] = {}
    while len(found) < EDGES:
        caller = rng.randrange(5 if rng.random() < 0.15 else NODES)
        callee = (
            rng.randrange(caller + 1, NODES)
            if caller < NODES - 1 and rng.random() < 0.93
            else rng.randrange(NODES)
        )
        if caller != callee:
            found[caller, callee] = {
                "caller": f"service-{caller}",
                "callee": f"service-{callee}",
                "kind": "rpc",
                "calls": rng.randrange(1, 100_000),
                "errors": 0,
                "p50_nano": "1000000",
                "p95_nano": "20000000",
                "p99_nano": "30000000",
                "exemplar_trace_id": None,
            }
    end = int(time.time()) * 10**9
    return json.dumps(
        {
            "start_time_unix_nano": str(end - 3_600 * 10**9),
            "end_time_unix_nano": str(end),
            "edges": list(found.values()),
            "other": None,
            "warnings": [],
        }
    ).encode()


def opened_table(rows: list[dict[str, Any]]) -> str:
    heads = ("spans", "first rows, ms (target)", "whole, ms", "longest task, ms", "heap, MB")
    return table(
        heads,
        [
            [
                f"{row['spans']:,}",
                f"{row['first_rows_milliseconds']:.0f} ({FIRST_ROWS_MAX[row['spans']]:,})",
                f"{row['complete_milliseconds']:.0f}",
                f"{row['longest_task_milliseconds']:.0f}",
                f"{row['heap_megabytes']:.1f}",
            ]
            for row in rows
        ],
    )


def used_table(rows: list[dict[str, Any]]) -> str:
    names = {
        "frames a second at 60 px a frame (target 55)": "frames_a_second_60",
        "frames a second at 600 px a frame (target 55)": "frames_a_second_600",
        "places without a row while scrolling (target 0)": "blank_600",
        "open a span, ms (target 100)": "open_milliseconds",
        "collapse all, ms (target 100)": "collapse_all_milliseconds",
        "expand all, ms (target 100)": "expand_all_milliseconds",
        "collapse a level, ms (target 100)": "collapse_level_milliseconds",
        "next error, ms (target 100)": "next_error_milliseconds",
        "longest task while typing into find, ms (target 100)": "find_longest_task_milliseconds",
    }
    heads = ("", *(f"{row['spans']:,} spans" for row in rows))
    return table(
        heads, [[name, *(f"{row[key]:.0f}" for row in rows)] for name, key in names.items()]
    )


def weights_table(found: dict[str, Any]) -> str:
    weights = found["weights"]
    rows = [
        [
            "trace page until its first rows, kB (target 40)",
            f"{weights['trace']['first_rows_bytes'] / 1e3:.1f}",
        ],
        *(
            [f"{name} page, all that it fetches, kB (target 80)", f"{weight['bytes'] / 1e3:.1f}"]
            for name, weight in weights.items()
        ),
    ]
    return table(("", "measured"), rows)


def topology_table(found: dict[str, dict[str, float]]) -> str:
    heads = ("", *found)
    names = {
        "laid out in the worker, ms (target 1,500)": "layout",
        "drawn, from navigation on, ms": "drawn",
        "drawn again while it is moved, ms of the page's thread (target 16)": "redraw",
        "frames a second while it is moved": "frames",
    }
    return table(
        heads,
        [[name, *(f"{each[key]:.0f}" for each in found.values())] for name, key in names.items()],
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ui", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 spans, to see that it runs")
    arguments = parser.parse_args()
    found = measure(SPANS[:1] if arguments.quick else SPANS)
    made = {
        "ui-opened": opened_table(found["opened"]),
        "ui-used": used_table(found["used"]),
        "ui-weights": weights_table(found),
        "ui-topology": topology_table(found["topology"]),
    }
    for name, content in made.items():
        print(f"\n{name}\n{content}")
    if not arguments.quick:
        write({**heading(), **found}, "ui-")
        for name, content in made.items():
            replace_between(PROJECT / "docs" / "ui.md", name, content)


if __name__ == "__main__":
    main()

"""`make bench-journal` measures how long a laptop stack takes to restore its spans after a kill; JSON in bench/results.

Each run is a process of its own, from its first import to the last message stored. `--quick` takes seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.record import PROJECT, result_of, write
from bench.timing import RUNS, reference_loop_seconds
from capacity.load import requests
from capacity.pages import table
from capacity.stages import receive
from local.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Sequence

SPANS = 100_000
SPANS_PER_REQUEST = (512, 64, 16)


def measure(spans: int, sizes: Sequence[int], runs: int) -> list[dict[str, Any]]:
    """Return a row for each size of a request, with the journal's size and the median time to restore it."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            messages = _write(Path(folder), spans, size)
            found = [_child(folder) for _ in range(runs)]
            rows.append(
                {
                    "spans": spans,
                    "spans_per_request": size,
                    "messages": messages,
                    "journal_bytes": (Path(folder) / "journal").stat().st_size,
                    "seconds": statistics.median(seconds for seconds, _ in found),
                    "seconds_of_each": [seconds for seconds, _ in found],
                    "cpu_seconds": statistics.median(cpu for _, cpu in found),
                }
            )
    return rows


def _write(folder: Path, spans: int, spans_per_request: int) -> int:
    """Write a journal of so many spans, received now; return the number of messages."""
    now_unix_seconds = int(time.time())
    bodies = requests(7, spans, spans_per_request)
    messages = [message for body in bodies for message in receive(body, now_unix_seconds)]
    journal = Journal(folder, 0)
    journal.append(messages)
    journal.close()
    return len(messages)


def _child(folder: str) -> tuple[float, float]:
    """Restore the journal in a new process; return (seconds, seconds of CPU)."""
    command = [sys.executable, "-m", "bench.journal", "--child", folder]
    environment = {**os.environ, "CLEW_ACCESS": "open", "CLEW_TELEMETRY": "0"}
    before = time.monotonic()
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    seconds, cpu = json.loads(done.stdout)
    return seconds - before, cpu


def _take_back(folder: str) -> None:
    """Restore the journal in this process; print the monotonic time at which all was stored, and the CPU time."""
    from local.stack import LaptopStack

    with LaptopStack(data_dir=Path(folder), run_schedules=False) as stack:
        stack.wait_until_stored(600)
        print(json.dumps([time.monotonic(), time.process_time()]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.journal", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _take_back(arguments.child)
        return
    reference = reference_loop_seconds()
    rows = measure(1_000, (512,), 1) if arguments.quick else measure(SPANS, SPANS_PER_REQUEST, RUNS)
    result = result_of({"journal": rows}, reference)
    heads = ["Spans a request", "Messages", "Journal, MB", "Back after, s", "CPU, s"]
    print(
        table(
            heads,
            [
                [
                    str(row["spans_per_request"]),
                    str(row["messages"]),
                    f"{row['journal_bytes'] / 1e6:.1f}",
                    f"{row['seconds']:.1f}",
                    f"{row['cpu_seconds']:.1f}",
                ]
                for row in rows
            ],
        )
    )
    if not arguments.quick:
        write(result, "journal-")


if __name__ == "__main__":
    main()
